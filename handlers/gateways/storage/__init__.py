"""The state store, the journal and the queue on Azure Storage."""
