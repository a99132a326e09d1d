-- Budgets: what was spent in a period, what is reserved now and by whom; and what somebody is to be told.

CREATE TABLE counter (
  budget   TEXT NOT NULL,
  scope    TEXT NOT NULL,
  start_ts BIGINT NOT NULL,               -- of the period, milliseconds since 1970, UTC
  end_ts   BIGINT NOT NULL,
  spent    BIGINT NOT NULL,
  reserved BIGINT NOT NULL,
  unpriced BIGINT NOT NULL,               -- calls whose price nobody knows
  ceiling  BIGINT NOT NULL,               -- the limit, as the policy said it last
  shares   TEXT NOT NULL,                 -- JSON: thresholds in millionths of the limit
  told     BIGINT NOT NULL,               -- the highest threshold that was told in this period
  PRIMARY KEY (budget, scope, start_ts)
);

CREATE TABLE lease (
  id       TEXT NOT NULL,
  budget   TEXT NOT NULL,
  scope    TEXT NOT NULL,
  start_ts BIGINT NOT NULL,
  request  TEXT NOT NULL,
  owner    TEXT NOT NULL,
  expires  BIGINT NOT NULL,
  amount   BIGINT NOT NULL,
  expired  SMALLINT NOT NULL,             -- settled at its amount, because its owner never came back
  PRIMARY KEY (id, budget, scope)
);
CREATE INDEX lease_expires ON lease (expires);

CREATE TABLE alert (
  id      TEXT PRIMARY KEY,
  ts      BIGINT NOT NULL,
  payload TEXT NOT NULL,                  -- JSON of a closed set of keys
  state   TEXT NOT NULL,                  -- pending, sending, sent, failed
  owner   TEXT NOT NULL,
  until   BIGINT NOT NULL,                -- a sender that took it has until then
  tries   INTEGER NOT NULL
);
CREATE INDEX alert_state ON alert (state, ts);
