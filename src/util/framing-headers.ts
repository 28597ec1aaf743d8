/** Headers that say how a message is carried from one hop to the next (RFC 9110, 7.6.1): a proxy writes its own. */
export const framingHeaders = [
  "connection",
  "content-length",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
] as const;
