-- The journal: what happened, one row a request and one row an attempt, and what the rows refer to by hash.

CREATE TABLE document (
  hash TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  ts   BIGINT NOT NULL,
  body TEXT NOT NULL
);

CREATE TABLE request (
  id          TEXT PRIMARY KEY,
  ts          BIGINT NOT NULL,            -- arrival, milliseconds since 1970, UTC
  day         TEXT NOT NULL,              -- its day in the ledger's time zone
  state       TEXT NOT NULL,              -- started, done, unknown
  outcome     TEXT NOT NULL,
  policy      TEXT NOT NULL,
  rule        TEXT NOT NULL,
  variant     TEXT NOT NULL,
  mode        TEXT NOT NULL,
  routed_to   TEXT NOT NULL,
  provider    TEXT NOT NULL,
  model       TEXT NOT NULL,
  escalation  TEXT NOT NULL,
  escalated   SMALLINT NOT NULL,
  error       TEXT NOT NULL,
  cost_center TEXT NOT NULL,
  tenant      TEXT NOT NULL,
  client      TEXT NOT NULL,
  user_key    TEXT NOT NULL,              -- keyed hashes, never the names themselves
  session_key TEXT NOT NULL,
  prompt_key  TEXT NOT NULL,
  intent      TEXT NOT NULL,
  purpose     TEXT NOT NULL,
  user_turn   SMALLINT NOT NULL,
  stream      SMALLINT NOT NULL,
  tainted     SMALLINT NOT NULL,
  score       DOUBLE PRECISION,
  confidence  DOUBLE PRECISION,
  latency_ms  DOUBLE PRECISION NOT NULL,
  ttft_ms     DOUBLE PRECISION,
  input       BIGINT NOT NULL,
  output      BIGINT NOT NULL,
  cache_read  BIGINT NOT NULL,
  cache_write BIGINT NOT NULL,
  cache_write_1h BIGINT NOT NULL,         -- the part of cache_write that lives an hour
  reasoning   BIGINT NOT NULL,
  cost        BIGINT,                     -- nano-dollars; null: no price is known
  would_cost  BIGINT,
  estimated   SMALLINT NOT NULL,
  prices      TEXT NOT NULL,              -- version of the price table
  versions    TEXT NOT NULL,              -- document: extractors and their versions
  signals     TEXT NOT NULL,              -- JSON
  around      TEXT NOT NULL               -- JSON
);
CREATE INDEX request_ts ON request (ts);
CREATE INDEX request_session ON request (session_key, ts) WHERE session_key <> '';
CREATE INDEX request_started ON request (ts) WHERE state = 'started';

CREATE TABLE attempt (
  request     TEXT NOT NULL,
  n           INTEGER NOT NULL,
  day         TEXT NOT NULL,
  kind        TEXT NOT NULL,
  provider    TEXT NOT NULL,
  model       TEXT NOT NULL,
  terms       TEXT NOT NULL,
  outcome     TEXT NOT NULL,
  status      INTEGER,
  code        TEXT,
  latency_ms  DOUBLE PRECISION NOT NULL,
  ttft_ms     DOUBLE PRECISION,
  input       BIGINT NOT NULL,
  output      BIGINT NOT NULL,
  cache_read  BIGINT NOT NULL,
  cache_write BIGINT NOT NULL,
  cache_write_1h BIGINT NOT NULL,
  reasoning   BIGINT NOT NULL,
  cost        BIGINT,
  estimated   SMALLINT NOT NULL,
  PRIMARY KEY (request, n)
);

CREATE TABLE follow_up (
  id      TEXT PRIMARY KEY,               -- the later request
  earlier TEXT NOT NULL,                  -- the request whose answer it follows
  ts      BIGINT NOT NULL,
  seconds DOUBLE PRECISION NOT NULL
);
CREATE INDEX follow_up_earlier ON follow_up (earlier);

CREATE TABLE feedback (
  request TEXT NOT NULL,
  ts      BIGINT NOT NULL,
  verdict TEXT NOT NULL,
  source  TEXT NOT NULL,
  PRIMARY KEY (request, source)
);

CREATE TABLE said (
  id       TEXT PRIMARY KEY,
  ts       BIGINT NOT NULL,
  redacted SMALLINT NOT NULL,
  prompt   TEXT NOT NULL,
  answer   TEXT NOT NULL
);
