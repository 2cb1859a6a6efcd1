# The harness with every version pinned: `make image` builds it, `make image-verify` runs it offline and read-only.
# BASE may be any image with Python 3.11 or newer and pip; give its digest. A torch of the pinned version is taken
# from it, so that a CUDA image is not filled twice. `make image` takes the first of these where there is an NVIDIA GPU;
# the second is for drivers that have CUDA 12:
#   pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime@sha256:db80a41f8428644cebcb3d75b0b62df334ab6c0e75785951eb25f48bfbd42407
#   pytorch/pytorch:2.13.0-cuda12.6-cudnn9-runtime@sha256:6acf597eeb8e376a96580dde4952f37cc017fef732bb40bfc73f28f25e3f64b4
ARG BASE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BASE} AS dependencies
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# Sees the base's packages and has no pip of its own: the base's installs into it.
RUN ["python3", "-m", "venv", "--without-pip", "--system-site-packages", "/opt/venv"]
WORKDIR /source
COPY requirements.lock ./
# Both secrets are optional: a pip.conf (another index, a folder of wheels) and the certificates of a proxy.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    ["python3", "-m", "pip", "--python", "/opt/venv/bin/python", "install", \
     "--require-hashes", "--no-deps", "-r", "requirements.lock"]
COPY constraints.txt ./
# torch by its pin, not by hash: one version has a CPU build and several CUDA builds, each with bytes (and CUDA parts)
# of its own, and a hash would bind every machine to one of them. The pins of its parts are in constraints.txt too.
# The first command only succeeds where the base has the pinned torch; its own CUDA parts are then left as they are.
# TORCH_INDEX is a further index. One of CPU builds has 2.13.0+cpu, which meets the pin and counts as the later version.
ARG TORCH_INDEX
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    PIP_CONFIG_FILE=/dev/null \
    python3 -m pip --python /opt/venv/bin/python install --no-index --no-deps -c constraints.txt torch || \
    python3 -m pip --python /opt/venv/bin/python install ${TORCH_INDEX:+--extra-index-url "${TORCH_INDEX}"} \
      -c constraints.txt torch

FROM dependencies AS program
COPY pyproject.toml LICENSE ./
COPY harness ./harness
RUN ["python3", "-m", "pip", "--python", "/opt/venv/bin/python", "install", \
     "--no-deps", "--no-index", "--no-build-isolation", "--target", "/app", "."]

FROM ${BASE} AS runtime
# Two copies: a change of the code leaves the large one as it is. The pins lie where provenance looks for them.
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=program /app /app
COPY constraints.txt /app/
# Where specs, data, .harness and reports are mounted. Any user may run the image; /tmp is all that it writes else.
WORKDIR /project
ENV PATH=/app/bin:/opt/venv/bin:${PATH} PYTHONPATH=/app HOME=/tmp USER=harness PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1
ARG BASE
ARG REVISION=unknown
ARG MODIFIED=false
ARG CREATED
# An image cannot know its own digest: who runs it says it in HARNESS_IMAGE.
ENV HARNESS_IMAGE="a container whose digest was not given" HARNESS_REVISION=${REVISION} HARNESS_MODIFIED=${MODIFIED}
LABEL org.opencontainers.image.title="training-dynamics-harness" \
      org.opencontainers.image.description="Checks the claims of training-dynamics papers by machine" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}" \
      harness.modified="${MODIFIED}"
USER 10001:10001
ENTRYPOINT ["harness"]
CMD ["--help"]
