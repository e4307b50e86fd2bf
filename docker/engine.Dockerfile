# The engine, the watchdog and the SMS simulator: one image, three commands.
#   docker build -f docker/engine.Dockerfile -t ivr-engine .
FROM debian:trixie-slim AS base
RUN apt-get update \
    && apt-get install -qy --no-install-recommends python3 espeak-ng ca-certificates \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/*

FROM base AS libraries
RUN apt-get update && apt-get install -qy --no-install-recommends python3-venv
WORKDIR /src
COPY requirements/run.txt docker/slim.py ./
# Every download is checked; the engine itself is not built, only found (by its .pth).
RUN python3 -m venv /opt/ivr-engine \
    && /opt/ivr-engine/bin/pip install --no-cache-dir --no-compile --no-deps --only-binary=:all: \
        --require-hashes -r run.txt \
    && /opt/ivr-engine/bin/python slim.py \
    && echo /opt/ivr-engine/program > "$(echo /opt/ivr-engine/lib/python3*/site-packages)/ivr_engine.pth" \
    && rm /opt/ivr-engine/bin/pip* \
    && printf '#!/opt/ivr-engine/bin/python\nfrom ivr_engine.cli import main\n\nmain()\n' \
        > /opt/ivr-engine/bin/ivr-engine \
    && chmod 755 /opt/ivr-engine/bin/ivr-engine

FROM base
RUN groupadd --gid 10001 ivr \
    && useradd --uid 10001 --gid ivr --home-dir /state --no-create-home --shell /usr/sbin/nologin ivr \
    && install -d -m 700 -o ivr -g ivr /state \
    && install -d -m 755 -o ivr -g ivr /sounds
COPY --from=libraries /opt/ivr-engine /opt/ivr-engine
COPY LICENSE /opt/ivr-engine/LICENSE
COPY config /site/config
COPY prompts /site/prompts
COPY ivr_engine /opt/ivr-engine/program/ivr_engine
# What `init` begins with: links in the program lead there.
COPY config /opt/ivr-engine/program/config
COPY prompts /opt/ivr-engine/program/prompts
RUN python3 -m compileall -q /opt/ivr-engine/program
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
