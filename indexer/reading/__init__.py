"""Files and SQL tables to items and interactions; the only place that distrusts rows."""
