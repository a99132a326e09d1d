"""HTTP front doors: what a client sends goes through the policy, and comes back in its own dialect."""
