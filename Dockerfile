# Builds the hub; `docker compose up` runs it. The listeners are opened to the container's network, the only way in.
FROM node:22-slim AS build
WORKDIR /weir
COPY package.json package-lock.json tsconfig.json ./
RUN npm ci --ignore-scripts
COPY src ./src
COPY adapters ./adapters
# Tests are part of what tsconfig.json compiles, not of the image.
RUN mkdir test && npm run build && npm prune --omit=dev --ignore-scripts

FROM node:22-slim
WORKDIR /weir
ENV NODE_ENV=production
COPY --from=build /weir/package.json ./
COPY --from=build /weir/node_modules ./node_modules
COPY --from=build /weir/dist ./dist
COPY policies ./policies
RUN ln -s /weir/dist/src/main.js /usr/local/bin/weir
# What the hub keeps: a ledger, a buffer.
RUN install -d -o node -g node -m 700 /var/lib/weir
USER node
EXPOSE 9091 9092 9093
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s CMD ["node", "-e", "fetch('http://127.0.0.1:9093/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--use-largepages=silent", "--max-semi-space-size=4", "dist/src/main.js"]
CMD ["serve", "--config", "policies/weir.yaml", "--grpc", "0.0.0.0:9091", "--http", "0.0.0.0:9092", "--admin", "0.0.0.0:9093"]
