export { duration, size } from "./quantities.ts";
export { httpHeaders, httpUrl, readHeaders } from "./http.ts";
export { readSecret, secretOrFile } from "./secret.ts";
export type { Secret } from "./secret.ts";
export { seriesBounds } from "./series-bounds.ts";
export { readTls, serverName, tlsFiles } from "./tls-files.ts";
export type { Tls } from "./tls-files.ts";
