"""Looks at training data before anything is learnt from it: who was poisoned is quarantined, and too many stop the job."""
