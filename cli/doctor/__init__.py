"""What is behind a generic ImageError, a 401 or a 403: checks that each say ok, wrong or cannot tell."""
