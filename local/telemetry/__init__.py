"""Stand-in for Application Insights' ingestion endpoint, with a page that shows what arrived."""
