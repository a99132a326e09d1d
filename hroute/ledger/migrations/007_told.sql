-- Which channels have an alert already: one that failed is tried again alone.

ALTER TABLE alert ADD COLUMN told TEXT NOT NULL DEFAULT '';
