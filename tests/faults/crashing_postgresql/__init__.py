"""PostgreSQL as a Django database that kills its own process around a commit when it is told to."""
