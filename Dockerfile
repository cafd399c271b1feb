# syntax=docker/dockerfile:1
# One image for every part of a cluster: coordinator, host and command line.
ARG NODE_IMAGE=node:lts-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /opt/hlsim
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN node scripts/bootstrap.js && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /opt/hlsim
COPY --from=build /opt/hlsim/package.json /opt/hlsim/LICENSE ./
COPY --from=build /opt/hlsim/node_modules ./node_modules
COPY --from=build /opt/hlsim/bin ./bin
COPY --from=build /opt/hlsim/training/data ./training/data
COPY --from=build /opt/hlsim/dist ./dist
USER node
EXPOSE 7700
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 CMD ["node", "bin/healthcheck.js"]
ENTRYPOINT ["node", "bin/hlsim.js"]
CMD ["--help"]
