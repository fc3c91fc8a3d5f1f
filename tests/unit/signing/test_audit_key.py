"""The key of the key store that signs the audit: made once, followed by others, and none but it signs."""

from pathlib import Path

import pytest
from ketgate._key_rotation import ROTATED
from ketgate._verification import verify_signature
from ketgate_server import audit_signer, durable
from ketgate_server.audit import keys as audit_keys
from ketgate_server.audit import told
from ketgate_server.audit.signer import KEY_FILE, Signer, SignerError
from ketgate_server.audit.signer import open_signer as open_file
from ketgate_server.settings import Settings
from ketgate_server.signing import audit_key, shared
from ketgate_server.signing.audit_key import signer_of
from ketgate_server.signing.keys.due import Destruction
from ketgate_server.signing.keys.journal import Journal
from ketgate_server.store.base import Store


def started(store: Store, folder: Path, **more: object) -> Signer:
    """The signer after a start with these settings."""
    made = Settings(data_dir=folder, **more)  # type: ignore[arg-type]
    try:
        signer, _ = audit_signer.open_signer(made, store)
        assert shared.foundation(made, store).rollback is None
        return signer
    finally:
        shared.close(store)


def versions(store: Store) -> list[tuple[str, int, str, bool]]:
    with store.read() as reader:
        return [
            (row[0], row[1], row[2], bool(row[3]))
            for row in reader.rows(
                "SELECT key_id, version, state, envelope IS NOT NULL FROM signing_versions "
                "ORDER BY key_id, version"
            )
        ]


def last(store: Store) -> str:
    """Action of the newest entry about a key of the log."""
    with store.read() as reader:
        return next(told.backwards(reader, "key_id")).fact.action


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "server"
    made.mkdir(mode=0o700)
    return made


def test_made_once(store: Store, folder: Path) -> None:
    signer = started(store, folder)
    assert signer.algorithm == "ML-DSA-65"
    assert started(store, folder).key_id == signer.key_id
    assert verify_signature("ML-DSA-65", signer.public_key, signer.sign(b"x"), b"x")
    assert last(store) == audit_keys.CREATED
    assert versions(store) == [("audit-ml-dsa-65", 1, "ENABLED", True)]


@pytest.mark.parametrize("algorithm", ["ML_DSA_44", "ML_DSA_87", "ED25519"])
def test_another_algorithm_follows(store: Store, folder: Path, algorithm: str) -> None:
    started(store, folder)
    signer = started(store, folder, signing={"audit_algorithm": algorithm})
    assert signer.algorithm.replace("-", "_").upper() == algorithm
    assert last(store) == ROTATED
    assert ("audit-ml-dsa-65", 1, "DESTROYED", False) in versions(store)
    assert started(store, folder).algorithm == "ML-DSA-65"
    assert [row for row in versions(store) if row[3]] == [("audit-ml-dsa-65", 2, "ENABLED", True)]


def test_the_key_of_an_earlier_version_signs_for_it(store: Store, folder: Path) -> None:
    old = open_file(folder / KEY_FILE)
    signer = started(store, folder)
    with store.read() as reader:
        facts = next(told.backwards(reader, "previous_key_id")).fact.facts or {}
    assert (facts["previous_key_id"], facts["key_id"]) == (old.key_id, signer.key_id)
    assert last(store) == ROTATED


def test_a_file_takes_over_and_gives_back(store: Store, folder: Path, tmp_path: Path) -> None:
    started(store, folder)
    file = tmp_path / "own.pem"
    signer = started(store, folder, audit_key_file=file)
    assert (signer.algorithm, last(store)) == ("Ed25519", ROTATED)
    # Nobody can sign with the key of the key store any more.
    assert versions(store) == [("audit-ml-dsa-65", 1, "DESTROYED", False)]
    assert started(store, folder, audit_key_file=file).key_id == signer.key_id
    file.unlink()
    assert started(store, folder, audit_key_file=file).key_id != signer.key_id
    assert last(store) == audit_keys.REPLACED
    assert started(store, folder).algorithm == "ML-DSA-65"
    assert versions(store)[-1] == ("audit-ml-dsa-65", 2, "ENABLED", True)


def test_a_corrupt_key_holds_up_the_start_in_words(
    store: Store, folder: Path, tmp_path: Path
) -> None:
    """Also where a file is to take over: the key that it follows is to be ended."""
    started(store, folder)
    store.run(lambda tx: tx.execute("UPDATE signing_versions SET body = public_key"))
    for more in ({}, {"audit_key_file": tmp_path / "own.pem"}):
        with pytest.raises(SignerError, match="is corrupt: its row is not as the server wrote it"):
            started(store, folder, **more)


def test_two_servers_of_one_store_have_one_key(store: Store, folder: Path) -> None:
    first = Settings(data_dir=folder)
    signer, reopen = audit_signer.open_signer(first, store)
    keys = shared.foundation(first, store).keys
    with store.read() as reader:
        assert audit_keys.active(reader) == signer.key_id
    again = signer_of(keys, signer.key_id)
    assert again is not None
    assert again.public_key == signer.public_key
    assert reopen("0" * 64) is None
    shared.close(store)


def test_a_key_in_a_file_is_not_rotated_by_the_command(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SignerError, match="in a file that the operator keeps"):
        audit_signer.rotate(Settings(data_dir=folder, audit_key_file=tmp_path / "own.pem"))


def test_the_file_of_the_last_start_signs_for_the_key_store(tmp_path: Path) -> None:
    """The setting is gone; where it pointed to is remembered in the data folder."""
    folder = tmp_path / "server"
    folder.mkdir(mode=0o700)
    with_file = Settings(data_dir=folder, audit_key_file=tmp_path / "own.pem")
    durable.start(with_file, []).close()
    running = durable.start(Settings(data_dir=folder), [])
    try:
        assert last(running.store) == ROTATED
    finally:
        running.close()


def test_a_rotation_that_was_cut_short_is_no_older_copy(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal told that the key was destroyed before it was: after a kill in between, the next start took the
    store for an older copy, refused every key, and the way out destroyed the key that signed."""
    signer = started(store, folder)
    made = Settings(data_dir=folder)
    keys = shared.foundation(made, store).keys
    told: list[Destruction] = []

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(keys, "change", killed)
    with pytest.raises(KeyboardInterrupt):
        audit_key.rotate(keys, "ML_DSA_65", lambda _: None, told.append)
    shared.close(store)
    assert told == []
    assert started(store, folder).key_id == signer.key_id


def test_what_was_destroyed_and_not_told_is_told_at_the_next_start(
    store: Store, folder: Path
) -> None:
    started(store, folder)
    keys = shared.foundation(Settings(data_dir=folder), store).keys
    audit_key.rotate(keys, "ML_DSA_65", lambda _: None)
    shared.close(store)
    assert list(Journal(folder)) == []
    for _ in range(2):
        started(store, folder)
        [one] = Journal(folder)
        assert (one.tenant, one.key_id, one.version) == ("", "audit-ml-dsa-65", 1)
