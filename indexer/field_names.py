"""Column names to roles: which columns hold a title, tags, prose, reviews or a date."""

MAX_ID_CHARS = 512

TITLE_FIELDS = ("title", "name", "headline", "label")
TAG_FIELDS = ("tags", "genres", "categories", "keywords", "topics", "category", "genre", "mood")
PROSE_FIELDS = (
    "description", "summary", "overview", "plot", "abstract", "tagline", "subtitle",
    "caption", "content", "text", "body",
)  # fmt: skip
REVIEW_FIELDS = ("reviews", "review", "comments")
TEXT_FIELDS = (*TITLE_FIELDS, *PROSE_FIELDS, *REVIEW_FIELDS, *TAG_FIELDS)
TIME_FIELDS = ("timestamp", "time", "at")  # when an interaction happened
DATE_FIELDS = ("year", "created_at", "published_at", "published", "release_date", "date")
