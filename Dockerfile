# syntax=docker/dockerfile:1
# Two stages: what installs stays behind, what runs is a slim Python, the packages and the project.
FROM python:3.11-slim-trixie AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/storylab
COPY requirements.lock /tmp/requirements.lock
# The CPU build of torch has the same version as PyPI's and is a tenth of its size; the lock file knows the hashes of both.
RUN /opt/storylab/bin/pip install --require-hashes --only-binary :all: \
    --extra-index-url https://download.pytorch.org/whl/cpu --requirement /tmp/requirements.lock

FROM python:3.11-slim-trixie
RUN useradd --create-home --uid 1000 storyteller \
    && install --directory --owner storyteller /data
COPY --from=packages /opt/storylab /opt/storylab
WORKDIR /srv/storylab
COPY app.py LICENSE README.md ./
COPY storylab storylab
COPY docs docs
COPY train train
COPY checkpoints checkpoints
ENV PATH=/opt/storylab/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    HF_HOME=/data/huggingface \
    STORYLAB_CACHE=/data/cache \
    STORYLAB_VOTES=/data/votes.sqlite
USER 1000
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['GRADIO_SERVER_PORT'] + '/theme.css', timeout=9)"]
CMD ["python", "app.py"]
