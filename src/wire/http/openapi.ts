import { attributeTypes } from "../../attributes/value.ts";
import { errorCodes } from "../../util/error-codes.ts";

type Schema = Readonly<Record<string, unknown>>;

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const text = (description: string): Schema => ({ type: "string", description });
const duration = (description: string): Schema => ({
  type: "string",
  description: `${description} Seconds with a fraction and an \`s\`.`,
  pattern: "^[0-9]+(\\.[0-9]{3}|\\.[0-9]{6}|\\.[0-9]{9})?s$",
});
const count = (description: string): Schema => ({ type: "integer", minimum: 0, description });
const list = (items: Schema): Schema => ({ type: "array", items });

/** An object all of whose properties are there, and no others. */
const record = (properties: Readonly<Record<string, Schema>>): Schema => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});

const codeNames = [
  ..."ok cancelled unknown invalid_argument deadline_exceeded not_found already_exists permission_denied".split(" "),
  ..."resource_exhausted failed_precondition aborted out_of_range unimplemented internal unavailable".split(" "),
  ..."data_loss unauthenticated".split(" "),
];
const code = (description: string): Schema => ({ type: "string", enum: codeNames, description });

const headerValue = record({ name: text("Name."), value: text("Value.") });

const schemas: Readonly<Record<string, Schema>> = {
  Attributes: {
    type: "object",
    description:
      "Values by the names of the vocabulary. The type is the attribute's: 64-bit integers as a number or as digits in a string, " +
      "IP addresses, durations (`1.5s`) and timestamps (RFC 3339) as text, bytes as hexadecimal digits or `base64:...`, " +
      'string maps as objects. A value may say its type: `{"type": "int64", "value": "5"}`.',
    example: { "request.path": "/reviews/0", "source.ip": "10.0.0.1", "request.headers": { "x-user": "jason" } },
    additionalProperties: {
      anyOf: [
        { type: "string" },
        { type: "number" },
        { type: "boolean" },
        {
          type: "object",
          properties: { type: { type: "string", enum: attributeTypes }, value: {} },
          required: ["type", "value"],
          additionalProperties: false,
        },
        { type: "object", additionalProperties: { type: "string" } },
      ],
    },
  },
  CheckRequest: {
    type: "object",
    properties: {
      attributes: ref("Attributes"),
      quotas: {
        type: "object",
        description:
          "Limits to take from, by rule name (`rule` or `policy/rule`), with the amounts wanted. Left out: every limit that " +
          "applies is charged its rule's cost.",
        maxProperties: 128,
        additionalProperties: {
          anyOf: [
            count("Units wanted; all or nothing."),
            {
              type: "object",
              properties: {
                amount: count("Units wanted."),
                best_effort: { type: "boolean", description: "Whether fewer units are welcome." },
              },
              required: ["amount"],
              additionalProperties: false,
            },
          ],
        },
      },
      dedup_id: {
        type: "string",
        maxLength: 256,
        description: "Identity of the request, which a retry repeats: it spends nothing a second time.",
      },
    },
    additionalProperties: false,
  },
  CheckAnswer: record({
    allowed: { type: "boolean" },
    code: code("`ok`, or why the request was refused."),
    message: text("For people."),
    rules: { ...list({ type: "string" }), description: "`policy/rule` of each rule that refused, sorted." },
    http: {
      description: "What to answer in place of the service; null when allowed.",
      anyOf: [
        { type: "null" },
        record({
          status: { type: "integer", minimum: 100, maximum: 599 },
          body: { type: "string" },
          headers: list(headerValue),
        }),
      ],
    },
    headers: {
      ...record({ request: list(ref("HeaderOperation")), response: list(ref("HeaderOperation")) }),
      description: "Changes to the headers of a request that passes and of its response, in this order.",
    },
    quotas: {
      type: "object",
      description: "By the name that the request used.",
      additionalProperties: record({
        granted: count("Units taken."),
        valid_for: duration("How long they may be used."),
        code: code("Why nothing was granted, or `ok`."),
        message: text("For people."),
      }),
    },
    limits: list(ref("LimitState")),
    valid_for: duration(
      "How long the answer may be used again for requests that agree in `referenced`; `0s`: not at all.",
    ),
    valid_uses: count("How often it may be used; 0: not at all."),
    referenced: {
      ...list({ type: "string" }),
      description:
        "What the answer rests on: `a` for an attribute, `m[k]` for a key of a map, `m[*]` for a whole map; with a `-` before it when it was not there.",
    },
    id: { type: "string", pattern: "^[0-9a-f]{32}$", description: "Identity of the decision." },
    version: text("The version of the policies that decided."),
  }),
  HeaderOperation: {
    type: "object",
    properties: {
      op: { type: "string", enum: ["set", "append", "remove"] },
      name: text("Name, in lower case."),
      value: text("Value; left out for `remove`."),
    },
    required: ["op", "name"],
    additionalProperties: false,
  },
  LimitState: record({
    rule: text("`policy/rule`."),
    allowed: { type: "boolean" },
    amount: { type: "number", description: "Units a window allows." },
    window: duration("The window's length."),
    remaining: { type: "number", description: "Units left." },
    reset: duration("When the full amount is there again, if nobody takes any more."),
    retry_after: {
      anyOf: [{ type: "null" }, duration("When asking again makes sense.")],
      description:
        "Null when it was not refused, when asking again never makes sense, and of what is at work at once, which may end at any time.",
    },
    degraded: { type: "boolean", description: "Whether the limit's store did not answer and the rule's onError did." },
  }),
  ReportRequest: {
    type: "object",
    properties: {
      reports: {
        ...list({
          anyOf: [record({ attributes: ref("Attributes") }), ref("Attributes")],
        }),
        description: "One record a request that was served: its attributes.",
      },
    },
    required: ["reports"],
    additionalProperties: false,
  },
  ReportAnswer: {
    type: "object",
    properties: {
      taken: count("Records taken."),
      not_taken: count("Records at the end of the list that a full queue kept out: send them again later."),
      broken: count("Records that were wrong in themselves."),
      errors: {
        ...list(
          record({
            index: count("Position in the list, from 0."),
            code: ref("ErrorCode"),
            message: text("What was wrong."),
          }),
        ),
        description: "The first 100 of the broken ones.",
      },
      error: record({ code: ref("ErrorCode"), message: text("What was wrong.") }),
    },
    required: ["taken", "not_taken", "broken", "errors"],
    additionalProperties: false,
  },
  HoldAnswer: {
    type: "object",
    properties: {
      id: text("The decision's."),
      limits: {
        ...list({
          type: "object",
          properties: {
            rule: text("`policy/rule`."),
            units: { type: "number", description: "Units given back; for `renew` those of the lease." },
            valid_for: duration("For `renew`: how long the lease lasts now."),
          },
          required: ["rule", "units"],
          additionalProperties: false,
        }),
        description: "Each limit that was concerned.",
        minItems: 1,
      },
    },
    required: ["id", "limits"],
    additionalProperties: false,
  },
  Error: record({ error: record({ code: ref("ErrorCode"), message: text("What was expected and what came.") }) }),
  ErrorCode: { type: "string", enum: Object.keys(errorCodes) },
};

const body = (name: string): Schema => ({ "application/json": { schema: ref(name) } });
const failure = (description: string): Schema => ({ description, content: body("Error") });

/** Ways in which any call with a body can fail. */
const failures = {
  400: failure("The request is wrong; the message says what and where."),
  408: { description: "The request took too long to arrive." },
  413: failure("The body is larger than `limits.message` allows."),
  415: failure("The body did not come as application/json."),
  503: failure("The hub cannot judge at the moment."),
};

const decisionId = {
  type: "string",
  pattern: "^[0-9a-f]{32}$",
  description: "The decision's id, as `/v1/check` and other doors tell it.",
};

/** One of the calls that change what a decision took. */
const holdCall = (kind: string, summary: string, properties: Readonly<Record<string, Schema>>) => ({
  post: {
    operationId: kind,
    summary,
    requestBody: {
      required: true,
      content: {
        "application/json": {
          schema: {
            type: "object",
            properties: { id: decisionId, ...properties },
            required: ["id"],
            additionalProperties: false,
          },
        },
      },
    },
    responses: {
      200: { description: "Done. The same call again changes nothing.", content: body("HoldAnswer") },
      404: failure("Nothing of this kind is held under the id: it was done before, or its time is over."),
      ...failures,
    },
  },
});

/** The OpenAPI description of the HTTP door, as `GET /openapi.json` serves it. */
export const openapi = {
  openapi: "3.1.0",
  info: {
    title: "Weir",
    version: "1",
    description: "Checks requests against policies, takes reports of what was served, and gives back what limits hold.",
    license: { name: "Apache-2.0", identifier: "Apache-2.0" },
  },
  paths: {
    "/v1/check": {
      post: {
        operationId: "check",
        summary: "Judge a request before it is served",
        requestBody: { required: true, content: body("CheckRequest") },
        responses: { 200: { description: "Judged: allowed or refused.", content: body("CheckAnswer") }, ...failures },
      },
    },
    "/v1/report": {
      post: {
        operationId: "report",
        summary: "Report requests that were served",
        requestBody: { required: true, content: body("ReportRequest") },
        responses: {
          200: { description: "Every record that was not broken was taken.", content: body("ReportAnswer") },
          429: {
            description: "A queue is full: the records at the end were not taken.",
            headers: { "Retry-After": { description: "Seconds.", schema: { type: "integer" } } },
            content: body("ReportAnswer"),
          },
          ...failures,
        },
      },
    },
    "/v1/limits/release": holdCall("release", "End the leases of a decision: its request is not at work any more", {}),
    "/v1/limits/renew": holdCall("renew", "Let the leases of a decision last on", {
      ttl: text("How long from now on, such as `30s`; at most, and by default, the `ttl` of the limit."),
    }),
    "/v1/limits/refund": holdCall("refund", "Give back what a decision took and its request did not use", {
      limit: text("`policy/rule`; left out: every limit that holds."),
      amount: { type: "integer", minimum: 1, description: "Units; at most, and by default, what was taken." },
    }),
    "/openapi.json": {
      get: {
        operationId: "openapi",
        summary: "This description",
        responses: {
          200: { description: "OpenAPI 3.1.", content: { "application/json": { schema: { type: "object" } } } },
        },
      },
    },
  },
  components: { schemas },
} as const;
