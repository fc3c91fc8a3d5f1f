-- The whole schema at head, for a new store. Upgrades of an older one run the migrations instead; a test holds the two
-- equal. Times are microseconds since 1970, UTC.
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
INSERT INTO alembic_version (version_num) VALUES ('0001');
