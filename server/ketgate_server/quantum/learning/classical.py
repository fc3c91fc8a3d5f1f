"""Classical models on the same split, so that no quantum model stands alone: scikit-learn's."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.learning.scoring import Score, score

Floats = NDArray[np.float64]
Rows = NDArray[np.float64]


def baselines(
    train: Rows, train_labels: Floats, test: Rows, test_labels: Floats, seed: int
) -> list[Score]:
    """Logistic regression, a support vector machine and gradient boosting, each with its settings
    chosen by cross-validation within the training part; the best on the test part first."""
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.svm import SVC

    folds = StratifiedKFold(
        max(2, min(5, int(np.bincount(train_labels.astype(int)).min()))),
        shuffle=True,
        random_state=seed % 2**32,
    )
    strengths = [0.1, 1.0, 10.0, 100.0]
    candidates = {
        "logistic regression": GridSearchCV(
            LogisticRegression(max_iter=2000), {"C": strengths}, cv=folds
        ),
        "support vector machine, RBF kernel": GridSearchCV(
            SVC(), {"C": strengths, "gamma": ["scale", 0.01, 0.1]}, cv=folds
        ),
        "gradient boosting": GradientBoostingClassifier(random_state=seed % 2**32),
    }
    found = []
    for name, model in candidates.items():
        model.fit(train, train_labels)
        decide: Callable[[Rows], Floats] = model.decision_function
        found.append(score(name, decide(train), train_labels, decide(test), test_labels))
    return sorted(found, key=lambda one: (-one.test_accuracy, -one.test_auc))


def support_vectors(
    gram: Rows, labels: Floats, penalty: float
) -> tuple[NDArray[np.int64], Floats, float, float]:
    """A support vector machine on a Gram matrix: (indices of its vectors, their weights, bias,
    seconds). Score of a sample: sum weight * kernel + bias."""
    from sklearn.svm import SVC

    started_s = time.monotonic()
    model = SVC(C=penalty, kernel="precomputed").fit(gram, labels)
    weights = np.asarray(model.dual_coef_[0], dtype=np.float64)
    bias = float(model.intercept_[0])
    return np.asarray(model.support_, dtype=np.int64), weights, bias, time.monotonic() - started_s
