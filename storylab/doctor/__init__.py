"""What stands in the way of telling, and what to do about it: `python -m storylab doctor`.

Nothing but Python's own library is imported here: a package that is missing, broken or ends the process is a finding.
What has to import packages runs in processes of its own (`child`): the packages themselves (`imports`), and
StoryLab's look at its storytellers and folders (`inside`).
"""
