"""Quantum algorithms and machine learning, synchronously: `client.algorithms`, `client.learning`."""

from typing import Any

from numpy.typing import ArrayLike

from ketgate import _algorithm_requests, _learning_requests, _variational_requests
from ketgate._learning_result import Classification
from ketgate._quantum import WorkCalls, working


class Algorithms(WorkCalls):
    """Quantum algorithms, whole: `client.algorithms`.

    Each answer holds what it found, the classical result on the same instance, what it needed and
    how it came about. With durable=True a method returns a DurableJob.
    """

    qaoa = working(_variational_requests.qaoa)
    vqe = working(_variational_requests.vqe)
    grover = working(_algorithm_requests.grover)
    fourier_transform = working(_algorithm_requests.fourier_transform)
    phase_estimation = working(_algorithm_requests.phase_estimation)
    amplitude_estimation = working(_algorithm_requests.amplitude_estimation)
    value_at_risk = working(_algorithm_requests.value_at_risk)
    factor = working(_algorithm_requests.factor)


class Learning(WorkCalls):
    """Machine learning with quantum circuits: `client.learning`."""

    kernel = working(_learning_requests.kernel)
    train = working(_learning_requests.train)

    def classify(self, model: Any, samples: ArrayLike) -> Classification:
        """Labels and scores of samples, shape (m, d), by a trained model: a ClassifierModel, or the
        result of `train`.
        """
        request = _learning_requests.classify(model, samples)
        sent = self._client.artifacts._refer(request)
        answer = self._client._call(
            _learning_requests.CLASSIFY, sent, _learning_requests.CLASSIFY_S
        )
        self._client.artifacts._fetch(answer)
        return _learning_requests.classification(request, answer)
