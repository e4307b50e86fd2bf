# Asterisk with the project's configuration, and nothing it does not load.
#   docker build -f docker/asterisk.Dockerfile -t ivr-engine-asterisk .
FROM debian:forky-slim AS sounds
RUN apt-get update && apt-get install -qy --no-install-recommends python3 espeak-ng sox
WORKDIR /src
COPY scripts/stack scripts/stack
COPY dialplan dialplan
RUN python3 -B -m scripts.stack.fallback /fallback

FROM debian:forky-slim
COPY dialplan /dialplan
# Debian's package brings libraries for every module there is: those that no module of modules.conf links to go
# again (perl, ICU, codec2, SNMP, ...), and so do the sample configuration and the English sounds.
RUN groupadd --gid 10002 asterisk \
    && useradd --uid 10002 --gid asterisk --home-dir /var/lib/asterisk --no-create-home \
        --shell /usr/sbin/nologin asterisk \
    && dpkg-query -W -f '${Package}\n' | sort > /tmp/before \
    && apt-get update \
    && apt-get install -qy --no-install-recommends \
        asterisk asterisk-moh-opsound-wav ca-certificates python3-minimal \
    && modules=$(sed -n 's|^load = |/usr/lib/*/asterisk/modules/|p' /dialplan/modules.conf) \
    && ldd /usr/sbin/asterisk /usr/bin/python3 $modules | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | sort -u \
        | xargs realpath | xargs dpkg -S | sed 's/:.*//' | sort -u > /tmp/linked \
    && dpkg-query -W -f '${Package}\n' | sort | comm -23 - /tmp/before | comm -23 - /tmp/linked \
        | grep -Ev '^(asterisk|asterisk-modules|asterisk-moh-.*|ca-certificates|(lib)?python3.*)$' \
        | xargs dpkg --purge --force-depends \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/* /tmp/* \
        /usr/share/asterisk/sounds /etc/asterisk \
    && install -d -o asterisk -g asterisk -m 750 /etc/asterisk /run/asterisk /var/cache/asterisk \
        /var/lib/asterisk /var/log/asterisk /var/spool/asterisk \
    # The engine's prompts, written by its user.
    && install -d -o 10001 -g 10001 -m 755 /usr/share/asterisk/sounds/ivr
COPY --from=sounds /fallback /usr/share/asterisk/sounds/ivr-fallback
COPY docker/start-asterisk /usr/local/bin/start-asterisk
USER 10002:10002
WORKDIR /var/lib/asterisk
VOLUME ["/var/spool/asterisk", "/usr/share/asterisk/sounds/ivr"]
EXPOSE 5060/udp
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD asterisk -rx "ari show status" | grep -q "Enabled: *Yes"
STOPSIGNAL SIGTERM
ENTRYPOINT ["start-asterisk"]
