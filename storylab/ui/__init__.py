"""The page. Its files wire components to calls of the layers above and compute nothing themselves.

`page` puts it together, a file a tab builds what is on it, `api` holds the named endpoints, `texts` every text.
Nothing here imports torch: the page answers before that is needed, and `warm_up` brings it in afterwards.
"""
