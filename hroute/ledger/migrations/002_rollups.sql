-- Sums of the journal, written in the same transaction as its rows.

CREATE TABLE rollup (
  day TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, rule TEXT NOT NULL,
  cost_center TEXT NOT NULL, intent TEXT NOT NULL, mode TEXT NOT NULL,
  requests   BIGINT NOT NULL,
  failed     BIGINT NOT NULL,             -- without an answer, refusals included
  refused    BIGINT NOT NULL,
  escalated  BIGINT NOT NULL,
  diverted   BIGINT NOT NULL,
  spoiled    BIGINT NOT NULL,             -- requests with at least one reply that failed validation
  follow_ups BIGINT NOT NULL,
  input      BIGINT NOT NULL, output BIGINT NOT NULL, cache_read BIGINT NOT NULL, cache_write BIGINT NOT NULL,
  reasoning  BIGINT NOT NULL,
  cost       BIGINT NOT NULL,             -- of the requests whose price is known
  unpriced   BIGINT NOT NULL,             -- the others
  estimated  BIGINT NOT NULL,
  would_cost BIGINT NOT NULL,
  would_unpriced BIGINT NOT NULL,
  PRIMARY KEY (day, provider, model, rule, cost_center, intent, mode)
);

CREATE TABLE rollup_attempt (
  day TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, mode TEXT NOT NULL,
  attempts  BIGINT NOT NULL,
  failed    BIGINT NOT NULL,
  input     BIGINT NOT NULL, output BIGINT NOT NULL, cache_read BIGINT NOT NULL, cache_write BIGINT NOT NULL,
  reasoning BIGINT NOT NULL,
  cost      BIGINT NOT NULL,
  unpriced  BIGINT NOT NULL,
  estimated BIGINT NOT NULL,
  PRIMARY KEY (day, provider, model, mode)
);

-- How many values fell into each bucket, so that a quantile needs no row: latency and first token in milliseconds,
-- output in tokens, score in hundredths (of all requests, and of the escalated ones).
CREATE TABLE histogram (
  kind TEXT NOT NULL, day TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, rule TEXT NOT NULL,
  bucket INTEGER NOT NULL,
  n BIGINT NOT NULL,
  PRIMARY KEY (kind, day, provider, model, rule, bucket)
);
