FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/syncworker ./cmd/syncworker

# Alpine and not an empty image: the health check needs a client, and wget is in it.
FROM alpine:3.22
RUN apk add --no-cache ca-certificates && adduser -D -H -u 65532 syncworker
COPY --from=build /out/syncworker /usr/local/bin/syncworker
USER 65532:65532
WORKDIR /tmp
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
	CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/readyz"]
ENTRYPOINT ["syncworker"]
CMD ["run"]
