-- The whole schema at head, for a new store; written by ketgate_server.store.migrations.render. Upgrades of an older
-- store run the migrations instead; a test holds the two equal. Times are microseconds since 1970, UTC.
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE tokens (
	uid INTEGER NOT NULL,
	secret_sha256 VARCHAR(64) NOT NULL,
	name VARCHAR(100) NOT NULL,
	tenant VARCHAR(63) NOT NULL,
	roles TEXT NOT NULL,
	create_time_us BIGINT NOT NULL,
	expire_time_us BIGINT,
	revoke_time_us BIGINT,
	CONSTRAINT tokens_pk PRIMARY KEY (uid),
	CONSTRAINT tokens_secret_unique UNIQUE (secret_sha256)
);
CREATE UNIQUE INDEX tokens_name_live ON tokens (name) WHERE revoke_time_us IS NULL;
CREATE TABLE counters (
	name VARCHAR(100) NOT NULL,
	value BIGINT NOT NULL,
	CONSTRAINT counters_pk PRIMARY KEY (name)
);
CREATE TABLE requests (
	tenant VARCHAR(63) NOT NULL,
	method VARCHAR(200) NOT NULL,
	request_id VARCHAR(128) NOT NULL,
	digest BLOB NOT NULL,
	resource VARCHAR(200) NOT NULL,
	reply BLOB,
	create_time_us BIGINT NOT NULL,
	CONSTRAINT requests_pk PRIMARY KEY (tenant, method, request_id)
)
 WITHOUT ROWID;
CREATE INDEX requests_reply_age ON requests (create_time_us) WHERE reply IS NOT NULL;
CREATE TABLE jobs (
	seq INTEGER NOT NULL,
	id VARCHAR(32) NOT NULL,
	tenant VARCHAR(63) NOT NULL,
	kind VARCHAR(63) NOT NULL,
	state SMALLINT NOT NULL,
	priority SMALLINT NOT NULL,
	labels TEXT NOT NULL,
	creator VARCHAR(100) NOT NULL,
	create_time_us BIGINT NOT NULL,
	start_time_us BIGINT,
	end_time_us BIGINT,
	update_time_us BIGINT NOT NULL,
	not_before_us BIGINT,
	wake_time_us BIGINT,
	deadline_us BIGINT,
	revision BIGINT NOT NULL,
	attempts INTEGER NOT NULL,
	faults INTEGER NOT NULL,
	losses INTEGER NOT NULL,
	fence BIGINT NOT NULL,
	worker VARCHAR(200) NOT NULL,
	lease_time_us BIGINT,
	progress BLOB,
	error BLOB,
	spec_digest BLOB NOT NULL,
	outside_until_us BIGINT,
	CONSTRAINT jobs_pk PRIMARY KEY (seq),
	CONSTRAINT jobs_id_unique UNIQUE (id)
);
CREATE INDEX jobs_by_end ON jobs (tenant, end_time_us, seq) WHERE end_time_us IS NOT NULL;
CREATE INDEX jobs_by_state ON jobs (tenant, state, seq);
CREATE INDEX jobs_by_tenant ON jobs (tenant, seq);
CREATE INDEX jobs_due ON jobs (deadline_us) WHERE deadline_us IS NOT NULL AND state = 1 AND outside_until_us IS NULL;
CREATE INDEX jobs_leased ON jobs (lease_time_us) WHERE lease_time_us IS NOT NULL;
CREATE INDEX jobs_outside ON jobs (outside_until_us) WHERE outside_until_us IS NOT NULL;
CREATE INDEX jobs_ready ON jobs (kind, tenant, state DESC, priority DESC, seq) WHERE end_time_us IS NULL AND wake_time_us IS NULL AND lease_time_us IS NULL;
CREATE INDEX jobs_waking ON jobs (wake_time_us) WHERE wake_time_us IS NOT NULL;
CREATE TABLE job_bodies (
	seq INTEGER NOT NULL,
	spec BLOB NOT NULL,
	result BLOB,
	CONSTRAINT job_bodies_pk PRIMARY KEY (seq)
);
CREATE TABLE job_labels (
	tenant VARCHAR(63) NOT NULL,
	"key" VARCHAR(63) NOT NULL,
	value VARCHAR(63) NOT NULL,
	seq BIGINT NOT NULL,
	CONSTRAINT job_labels_pk PRIMARY KEY (tenant, "key", value, seq)
)
 WITHOUT ROWID;
CREATE TABLE job_attempts (
	seq BIGINT NOT NULL,
	number INTEGER NOT NULL,
	attempt BLOB NOT NULL,
	CONSTRAINT job_attempts_pk PRIMARY KEY (seq, number)
)
 WITHOUT ROWID;
CREATE TABLE job_handles (
	seq INTEGER NOT NULL,
	handle BLOB NOT NULL,
	CONSTRAINT job_handles_pk PRIMARY KEY (seq)
);
CREATE TABLE events (
	revision INTEGER NOT NULL,
	tenant VARCHAR(63) NOT NULL,
	seq BIGINT NOT NULL,
	time_us BIGINT NOT NULL,
	event BLOB NOT NULL,
	CONSTRAINT events_pk PRIMARY KEY (revision)
);
CREATE INDEX events_by_tenant ON events (tenant, revision);
CREATE TABLE leases (
	name VARCHAR(63) NOT NULL,
	holder VARCHAR(200) NOT NULL,
	until_us BIGINT NOT NULL,
	position BIGINT NOT NULL,
	CONSTRAINT leases_pk PRIMARY KEY (name)
);
CREATE TABLE audit_entries (
	idx INTEGER NOT NULL,
	tenant VARCHAR(63) NOT NULL,
	commitment BLOB NOT NULL,
	salt BLOB,
	payload BLOB,
	CONSTRAINT audit_entries_pk PRIMARY KEY (idx)
);
CREATE TABLE audit_nodes (
	level SMALLINT NOT NULL,
	block BIGINT NOT NULL,
	hashes BLOB NOT NULL,
	CONSTRAINT audit_nodes_pk PRIMARY KEY (level, block)
);
CREATE TABLE artifacts (
	tenant VARCHAR(63) NOT NULL,
	sha256 VARCHAR(64) NOT NULL,
	size_bytes BIGINT NOT NULL,
	media_type VARCHAR(100) NOT NULL,
	create_time_us BIGINT NOT NULL,
	used_time_us BIGINT NOT NULL,
	CONSTRAINT artifacts_pk PRIMARY KEY (tenant, sha256)
);
CREATE INDEX artifacts_by_content ON artifacts (sha256);
CREATE INDEX artifacts_by_time ON artifacts (tenant, create_time_us, sha256);
CREATE TABLE artifact_references (
	tenant VARCHAR(63) NOT NULL,
	sha256 VARCHAR(64) NOT NULL,
	seq BIGINT NOT NULL,
	CONSTRAINT artifact_references_pk PRIMARY KEY (tenant, sha256, seq)
)
 WITHOUT ROWID;
CREATE INDEX artifact_references_by_job ON artifact_references (seq);
CREATE TABLE uploads (
	id VARCHAR(32) NOT NULL,
	tenant VARCHAR(63) NOT NULL,
	sha256 VARCHAR(64) NOT NULL,
	size_bytes BIGINT NOT NULL,
	media_type VARCHAR(100) NOT NULL,
	offset_bytes BIGINT NOT NULL,
	update_time_us BIGINT NOT NULL,
	CONSTRAINT uploads_pk PRIMARY KEY (id),
	CONSTRAINT uploads_content_unique UNIQUE (tenant, sha256)
);
CREATE INDEX uploads_by_content ON uploads (sha256);
CREATE TABLE quantum_charges (
	tenant VARCHAR(63) NOT NULL,
	job VARCHAR(32) NOT NULL,
	time_us BIGINT NOT NULL,
	asset VARCHAR(64) NOT NULL,
	minor_units BIGINT NOT NULL,
	CONSTRAINT quantum_charges_pk PRIMARY KEY (tenant, job)
);
CREATE INDEX quantum_charges_by_time ON quantum_charges (tenant, time_us);
CREATE TABLE quantum_reservations (
	tenant VARCHAR(63) NOT NULL,
	job VARCHAR(32) NOT NULL,
	time_us BIGINT NOT NULL,
	asset VARCHAR(64) NOT NULL,
	minor_units BIGINT NOT NULL,
	CONSTRAINT quantum_reservations_pk PRIMARY KEY (tenant, job)
);
CREATE TABLE signing_keys (
	tenant VARCHAR(63) NOT NULL,
	id VARCHAR(63) NOT NULL,
	uid VARCHAR(32) NOT NULL,
	algorithm VARCHAR(40) NOT NULL,
	etag VARCHAR(32) NOT NULL,
	primary_version INTEGER NOT NULL,
	min_version INTEGER NOT NULL,
	next_rotation_us BIGINT,
	body BLOB NOT NULL,
	generation BIGINT NOT NULL,
	mac BLOB NOT NULL,
	CONSTRAINT signing_keys_pk PRIMARY KEY (tenant, id)
);
CREATE INDEX signing_keys_by_rotation ON signing_keys (next_rotation_us) WHERE next_rotation_us IS NOT NULL;
CREATE TABLE signing_versions (
	tenant VARCHAR(63) NOT NULL,
	key_id VARCHAR(63) NOT NULL,
	version INTEGER NOT NULL,
	state VARCHAR(20) NOT NULL,
	destroy_time_us BIGINT,
	envelope BLOB,
	kek VARCHAR(32),
	public_key BLOB NOT NULL,
	fingerprint VARCHAR(64) NOT NULL,
	body BLOB NOT NULL,
	generation BIGINT NOT NULL,
	mac BLOB NOT NULL,
	CONSTRAINT signing_versions_pk PRIMARY KEY (tenant, key_id, version)
);
CREATE INDEX signing_versions_by_destruction ON signing_versions (destroy_time_us) WHERE destroy_time_us IS NOT NULL;
CREATE INDEX signing_versions_by_fingerprint ON signing_versions (tenant, fingerprint);
CREATE INDEX signing_versions_by_kek ON signing_versions (kek);
CREATE TABLE signing_changes (
	tenant VARCHAR(63) NOT NULL,
	id VARCHAR(32) NOT NULL,
	key_id VARCHAR(63) NOT NULL,
	state VARCHAR(20) NOT NULL,
	create_time_us BIGINT NOT NULL,
	expire_time_us BIGINT NOT NULL,
	body BLOB NOT NULL,
	generation BIGINT NOT NULL,
	mac BLOB NOT NULL,
	CONSTRAINT signing_changes_pk PRIMARY KEY (tenant, id)
);
CREATE INDEX signing_changes_by_key ON signing_changes (tenant, key_id, id);
CREATE INDEX signing_changes_pending ON signing_changes (tenant, expire_time_us) WHERE state = 'PENDING';
CREATE TABLE signing_wrapping_keys (
	tenant VARCHAR(63) NOT NULL,
	id VARCHAR(32) NOT NULL,
	creator VARCHAR(100) NOT NULL,
	algorithm VARCHAR(40) NOT NULL,
	public_key BLOB NOT NULL,
	envelope BLOB NOT NULL,
	kek VARCHAR(32) NOT NULL,
	expire_time_us BIGINT NOT NULL,
	CONSTRAINT signing_wrapping_keys_pk PRIMARY KEY (tenant, id)
);
CREATE INDEX signing_wrapping_keys_by_time ON signing_wrapping_keys (expire_time_us);
CREATE TABLE signing_keks (
	id VARCHAR(32) NOT NULL,
	kind VARCHAR(20) NOT NULL,
	body BLOB NOT NULL,
	create_time_us BIGINT NOT NULL,
	retire_time_us BIGINT,
	CONSTRAINT signing_keks_pk PRIMARY KEY (id)
);
CREATE TABLE signing_sums (
	id INTEGER NOT NULL,
	total BLOB NOT NULL,
	CONSTRAINT signing_sums_pk PRIMARY KEY (id)
);
CREATE TABLE audit_keys (
	number INTEGER NOT NULL,
	key_id VARCHAR(64) NOT NULL,
	previous_key_id VARCHAR(64) NOT NULL,
	idx BIGINT NOT NULL,
	CONSTRAINT audit_keys_pk PRIMARY KEY (number)
);
INSERT INTO counters (name, value) VALUES ('revision', 0), ('audit', 0), ('tokens', 0), ('fence', 0), ('signing', 0), ('clock', 0);
INSERT INTO alembic_version (version_num) VALUES ('0006');
