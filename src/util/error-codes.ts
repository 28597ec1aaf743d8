/**
 * Every error code that Weir shows, to whomever. `docs/errors.md` explains each; a test holds the two together. A code
 * that was published is never given another meaning.
 */
export const errorCodes = {
  // Mistakes in files. Shown with place and caret; exit status 1.
  WEIR_FILE_UNREADABLE: { summary: "a file could not be read", grpc: 9, http: 500, retry: false },
  WEIR_FILE_TOO_LARGE: { summary: "a file is larger than `limits.policy` allows", grpc: 9, http: 500, retry: false },
  WEIR_YAML_SYNTAX: {
    summary: "a file is not YAML, or uses aliases beyond the limit",
    grpc: 9,
    http: 500,
    retry: false,
  },
  WEIR_POLICY_UNKNOWN_KEY: { summary: "a key that is not known here", grpc: 9, http: 500, retry: false },
  WEIR_POLICY_SHAPE: { summary: "a value of another shape than expected", grpc: 9, http: 500, retry: false },
  WEIR_POLICY_DUPLICATE: { summary: "a name that is taken", grpc: 9, http: 500, retry: false },
  WEIR_POLICY_RATE: { summary: "not a rate such as 500/s", grpc: 9, http: 500, retry: false },
  WEIR_POLICY_HEADER: { summary: "a header name or value that must not be written", grpc: 9, http: 500, retry: false },
  WEIR_POLICY_UNKNOWN_ADAPTER: { summary: "an adapter that weir.yaml does not name", grpc: 9, http: 500, retry: false },
  WEIR_POLICY_CAPABILITY: {
    summary: "an adapter that cannot do what the rule needs",
    grpc: 9,
    http: 500,
    retry: false,
  },
  WEIR_POLICY_PASSES_ABSENT: {
    summary: "a warning: a deny that a request without an optional attribute passes",
    grpc: 9,
    http: 500,
    retry: false,
  },
  WEIR_POLICY_HEADER_CASE: {
    summary: "a warning: a header looked up by a name in upper case",
    grpc: 9,
    http: 500,
    retry: false,
  },
  WEIR_POLICY_NOT_CARRIED: {
    summary: "a warning: a header change that some doors cannot carry",
    grpc: 9,
    http: 500,
    retry: false,
  },
  WEIR_POLICY_NEVER_ENDS: {
    summary: "a warning: a limit that waits for reports which nobody may send",
    grpc: 9,
    http: 500,
    retry: false,
  },
  WEIR_POLICY_NOT_DIVIDED: {
    summary: "a warning: a limit that proxies with rate limit quotas cannot keep to, so that they refuse all",
    grpc: 9,
    http: 500,
    retry: false,
  },
  WEIR_POLICY_NEVER_GRANTED: {
    summary: "a warning: a cost that is above all that a limit holds",
    grpc: 9,
    http: 500,
    retry: false,
  },
  WEIR_POLICY_NO_EFFECT: { summary: "a warning: a key that does nothing there", grpc: 9, http: 500, retry: false },
  WEIR_RELOAD_EMPTY: {
    summary: "a reload that would leave no policy where there were some",
    grpc: 9,
    http: 500,
    retry: false,
  },
  WEIR_POLICY_NO_RULES: { summary: "a warning: a policy or a folder without rules", grpc: 9, http: 500, retry: false },
  WEIR_PUSHED_POLICIES: {
    summary: "policies that come from a store, which cannot be had",
    grpc: 9,
    http: 500,
    retry: false,
  },
  WEIR_CERTIFICATE: { summary: "certificates that TLS cannot be served with", grpc: 9, http: 500, retry: false },
  WEIR_TOKEN: { summary: "a file of a bearer token that cannot be used", grpc: 9, http: 500, retry: false },
  WEIR_LISTENER_CALLERS: {
    summary: "a listener whose keys do not say together who may call",
    grpc: 9,
    http: 500,
    retry: false,
  },
  WEIR_ADAPTER_CONFIG: { summary: "an adapter's configuration is not valid", grpc: 9, http: 500, retry: false },
  WEIR_ADAPTER_FILE: { summary: "a file that an adapter reads is not valid", grpc: 9, http: 500, retry: false },
  WEIR_ADAPTER_LOAD: { summary: "an adapter could not be loaded or made", grpc: 9, http: 500, retry: false },
  WEIR_EXPRESSION_SYNTAX: { summary: "an expression that does not parse", grpc: 3, http: 400, retry: false },
  WEIR_EXPRESSION_TYPE: { summary: "an expression of the wrong type", grpc: 3, http: 400, retry: false },
  WEIR_EXPRESSION_UNKNOWN_ATTRIBUTE: { summary: "a name that is no attribute", grpc: 3, http: 400, retry: false },
  WEIR_EXPRESSION_UNKNOWN_FUNCTION: { summary: "a name that is no function", grpc: 3, http: 400, retry: false },
  WEIR_EXPRESSION_REPORT_ATTRIBUTE: {
    summary: "a check rule reads what is known only after the request",
    grpc: 3,
    http: 400,
    retry: false,
  },
  WEIR_EXPRESSION_TOO_LARGE: {
    summary: "an expression beyond the limits of length, depth or cost",
    grpc: 3,
    http: 400,
    retry: false,
  },
  WEIR_EXPRESSION_REGEX: { summary: "a pattern that is not RE2 syntax", grpc: 3, http: 400, retry: false },
  // Wrong requests.
  WEIR_REQUEST_MALFORMED: {
    summary: "bytes that are not the message, or text that is not the JSON, of this call",
    grpc: 3,
    http: 400,
    retry: false,
  },
  WEIR_REQUEST_TOO_LARGE: { summary: "a message above `limits.message`", grpc: 8, http: 413, retry: false },
  WEIR_REQUEST_ATTRIBUTE: {
    summary: "an attribute that is unknown or has a value of another type",
    grpc: 3,
    http: 400,
    retry: false,
  },
  WEIR_REQUEST_QUOTA: {
    summary: "a quota amount that is negative or no number, or too many quotas",
    grpc: 3,
    http: 400,
    retry: false,
  },
  WEIR_REQUEST_DESCRIPTORS: {
    summary: "a rate limit request without domain or descriptors, with too many, or with a limit that is none",
    grpc: 3,
    http: 400,
    retry: false,
  },
  WEIR_DICTIONARY_MISMATCH: {
    summary: "the caller's global dictionary is larger than ours",
    grpc: 13,
    http: 400,
    retry: false,
  },
  WEIR_STREAM_DICTIONARY: {
    summary: "words that do not fit the dictionary of a stream, or are too many",
    grpc: 3,
    http: 400,
    retry: false,
  },
  WEIR_UNAUTHENTICATED: { summary: "a request without a token that is known", grpc: 16, http: 401, retry: false },
  WEIR_NOT_PERMITTED: {
    summary: "a caller that nobody names, or that may not say or ask this",
    grpc: 7,
    http: 403,
    retry: false,
  },
  WEIR_NOT_FOUND: { summary: "no such path, or no such limit", grpc: 5, http: 404, retry: false },
  WEIR_NOT_HELD: { summary: "nothing of this kind is held under the decision's id", grpc: 5, http: 404, retry: false },
  WEIR_METHOD_NOT_ALLOWED: { summary: "another HTTP method is expected here", grpc: 12, http: 405, retry: false },
  WEIR_NOT_SUPPORTED: { summary: "an adapter that cannot do what was asked of it", grpc: 12, http: 501, retry: false },
  WEIR_MEDIA_TYPE: { summary: "a body that is not application/json", grpc: 3, http: 415, retry: false },
  // The hub itself.
  WEIR_REPORT_NOT_TAKEN: {
    summary: "records were not taken because a queue or the buffer is full",
    grpc: 8,
    http: 429,
    retry: true,
  },
  WEIR_REPORT_NOT_STORED: {
    summary: "records were not taken because the buffer that keeps them cannot be reached",
    grpc: 14,
    http: 503,
    retry: true,
  },
  WEIR_ADAPTER_FAILED: {
    summary: "an adapter failed and the rule's onError refuses",
    grpc: 14,
    http: 503,
    retry: true,
  },
  WEIR_CONSOLE_BUSY: { summary: "too many long answers of the console at once", grpc: 8, http: 503, retry: true },
  WEIR_OVERLOADED: {
    summary: "too much is held of messages that have not come whole, or whose calls do not end",
    grpc: 8,
    http: 503,
    retry: true,
  },
  WEIR_SHUTTING_DOWN: { summary: "the hub is stopping", grpc: 14, http: 503, retry: true },
  WEIR_INTERNAL: { summary: "a fault in Weir; the log has the cause", grpc: 14, http: 503, retry: true },
  // The process and the command line.
  WEIR_LISTEN: { summary: "an address could not be listened on", grpc: 9, http: 500, retry: false },
  WEIR_BUFFER_FOLDER: { summary: "the folder of the buffer cannot be used", grpc: 9, http: 500, retry: false },
  WEIR_BUFFER_IN_USE: { summary: "the folder of the buffer is another hub's", grpc: 9, http: 500, retry: false },
  WEIR_PUSH: { summary: "policies that could not be pushed or taken back", grpc: 9, http: 500, retry: false },
  WEIR_USAGE: { summary: "a command line that makes no sense", grpc: 3, http: 400, retry: false },
  WEIR_CLIENT_BUSY: {
    summary: "a client with as many calls in flight as it may have",
    grpc: 8,
    http: 429,
    retry: true,
  },
  WEIR_UNREACHABLE: { summary: "a hub that could not be called", grpc: 14, http: 503, retry: true },
} as const satisfies Record<string, ErrorCodeEntry>;

interface ErrorCodeEntry {
  readonly summary: string;
  /** gRPC status code (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). */
  readonly grpc: number;
  /** HTTP status (RFC 9110). */
  readonly http: number;
  /** Whether the same call may succeed later. */
  readonly retry: boolean;
}

export type ErrorCode = keyof typeof errorCodes;
