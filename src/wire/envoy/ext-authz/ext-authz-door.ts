import { Bag } from "../../../attributes/bag.ts";
import type { Layout } from "../../../attributes/layout.ts";
import type { Call, DoorOptions, GrpcDoor } from "../../call.ts";
import { asBuffer } from "../../protobuf/reader.ts";
import { CheckAnswers } from "./check-answer.ts";
import { setExtensions } from "./context-extensions.ts";
import { doorName } from "./name.ts";
import { RequestDecoder } from "./request-decoder.ts";

/**
 * The door of Envoy's ext_authz filters, of HTTP and of connections: `envoy.service.auth.v3.Authorization`.
 *
 * What was judged is answered with gRPC OK and the verdict in the answer's status. A message that cannot be read, and a
 * hub that cannot judge, fail the call; whether that lets a request pass is said by `failure_mode_allow` of the filter.
 */
export function createExtAuthzDoor({ open, observer }: Pick<DoorOptions, "open" | "observer">): GrpcDoor {
  const decoder = new RequestDecoder();
  const answers = new CheckAnswers(observer);
  /** A bag that no request uses at the moment. */
  let spare: Bag | undefined;

  function takeBag(layout: Layout): Bag {
    const bag = spare?.layout === layout ? spare : new Bag(layout);
    if (bag === spare) bag.clear();
    spare = undefined;
    return bag;
  }

  function check(message: Uint8Array, call: Call): Uint8Array | Promise<Uint8Array> {
    const buffer = asBuffer(message);
    const session = open();
    let pending = false;
    try {
      const { doors } = session;
      const bag = takeBag(session.layout);
      const { extensions, extensionCount, isHttp, isGrpc } = decoder.fill(bag, buffer, doors.bodyBytes);
      if (extensionCount > 0) {
        setExtensions(bag, extensions, extensionCount, session.vocabulary, call.client, observer);
      }
      const { deadlineMs } = call;
      const decision = session.check(bag, deadlineMs === undefined ? { carrier: call } : { deadlineMs, carrier: call });
      const asker = { isHttp, isGrpc };
      if (decision instanceof Promise) {
        pending = true;
        const kept = Buffer.from(buffer);
        return decision.then((decided) => answers.answer(decided, asker, doors, kept)).finally(() => session.end());
      }
      spare = bag;
      return answers.answer(decision, asker, doors, buffer);
    } finally {
      if (!pending) session.end();
    }
  }

  return {
    name: doorName,
    unary: new Map([["/envoy.service.auth.v3.Authorization/Check", check]]),
    duplex: new Map(),
    caches: { words: decoder.words },
  };
}
