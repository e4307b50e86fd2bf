# The engine, the watchdog and the SMS simulator: one image, three commands.
#   docker build -f docker/engine.Dockerfile -t ivr-engine .
FROM debian:trixie-slim AS base
RUN apt-get update \
    && apt-get install -qy --no-install-recommends python3 espeak-ng ca-certificates \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/*

FROM base AS build
RUN apt-get update && apt-get install -qy --no-install-recommends python3-venv
WORKDIR /src
COPY requirements/run.txt requirements/run.txt
RUN python3 -m venv /opt/ivr-engine \
    && /opt/ivr-engine/bin/pip install --no-cache-dir --no-compile --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY ivr_engine ivr_engine
COPY docker/slim.py docker/slim.py
RUN /opt/ivr-engine/bin/pip install --no-cache-dir --no-compile --no-deps . \
    && /opt/ivr-engine/bin/pip uninstall -qy pip \
    && /opt/ivr-engine/bin/python docker/slim.py

FROM base
RUN groupadd --gid 10001 ivr \
    && useradd --uid 10001 --gid ivr --home-dir /state --no-create-home --shell /usr/sbin/nologin ivr \
    && install -d -m 700 -o ivr -g ivr /state \
    && install -d -m 755 -o ivr -g ivr /sounds
COPY --from=build /opt/ivr-engine /opt/ivr-engine
COPY config /site/config
COPY prompts /site/prompts
ENV PATH=/opt/ivr-engine/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    IVR_CONFIG=/site/config IVR_PROMPTS=/site/prompts IVR_STATE=/state IVR_SOUNDS=/sounds \
    IVR_LOG=json
USER 10001:10001
WORKDIR /state
VOLUME ["/state", "/sounds"]
EXPOSE 8080
# Of the engine; the watchdog and the simulator have none: switch it off there.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD ["ivr-engine", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["ivr-engine"]
CMD ["run"]
