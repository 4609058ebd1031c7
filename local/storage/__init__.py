"""Stand-in for an Azure Storage account: blobs and queues."""
