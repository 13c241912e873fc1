"""A build that has learned to a decision: published, or refused with a reason; and its report."""
