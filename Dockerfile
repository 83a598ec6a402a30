# One static binary and nothing else: no shell, no libc, no user database.
#
#   docker build -t quorate .
#   docker run --rm -v quorate-data:/data -p 127.0.0.1:7610-7611:7610-7611/tcp quorate \
#       serve --name n1 --listen 0.0.0.0:7610 --http 0.0.0.0:7611 --insecure --bootstrap
#
# Five nodes: compose.yaml. What to know before: docs/packaging.md.

FROM rust:1.89-alpine AS build
# A C compiler for mimalloc and zstd. Rust links its own musl, statically.
RUN apk add --no-cache build-base
WORKDIR /src
COPY . .
RUN cargo build --locked --release --bin quorate && strip target/release/quorate && mkdir /empty

FROM scratch
COPY --from=build /src/target/release/quorate /quorate
# A new volume takes owner and mode of what it covers.
COPY --from=build --chown=65532:65532 /empty /data
USER 65532:65532
ENV QUORATE_NODE__DATA_DIR=/data/node
VOLUME /data
EXPOSE 7610/tcp 7610/udp 7611/tcp
# An orderly stop says goodbye to the others and ends the incarnation.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/quorate"]
CMD ["--help"]
