"""One file a revision, in order. A released file is never changed."""
