import { WeirError } from "../util/weir-error.ts";
import type { Duplex, GrpcDoor, Outgoing, Unary } from "./call.ts";
import {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "./gen/grpc/health/v1/health.ts";

export interface Health {
  readonly door: GrpcDoor;
  /** Answers NOT_SERVING from now on, also to those who watch. */
  stop(): void;
}

const service = "grpc.health.v1.Health";

/** The health of the server as a whole (`""`) and of each service: all of them serve until {@link Health.stop}. */
export function createHealth(services: Iterable<string>): Health {
  const known = new Set(["", service, ...services]);
  /** Open watches, and whether the service they ask about is known. */
  const watchers = new Map<Outgoing, boolean>();
  let serving = true;
  const status = () => (serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);

  const check: Unary = (message) => {
    const name = requestedService(message);
    if (!known.has(name)) throw new WeirError("WEIR_NOT_FOUND", `there is no service ${name}`);
    return answer(status());
  };

  const watch: Duplex = (out) => {
    let asked = false;
    return {
      message(message) {
        if (asked) throw new WeirError("WEIR_REQUEST_MALFORMED", "Watch takes one message, and a second one came");
        asked = true;
        const name = requestedService(message);
        out.send(answer(known.has(name) ? status() : ServingStatus.SERVICE_UNKNOWN));
        watchers.set(out, known.has(name));
      },
      // A watcher half-closes after its one message, and stays; only when the hub stops does the stream end.
      end() {
        if (!asked) throw new WeirError("WEIR_REQUEST_MALFORMED", "Watch takes one message, and none came");
        if (!serving) out.end();
      },
      drained() {},
      gone() {
        watchers.delete(out);
      },
    };
  };

  return {
    door: {
      name: "health",
      unary: new Map([[`/${service}/Check`, check]]),
      duplex: new Map([[`/${service}/Watch`, watch]]),
    },
    stop() {
      serving = false;
      for (const [out, isKnown] of watchers) {
        // The set of services never changes: who asked for an unknown one has nothing new to hear.
        if (isKnown) out.send(answer(ServingStatus.NOT_SERVING));
        out.end();
      }
      watchers.clear();
    },
  };
}

function requestedService(message: Uint8Array): string {
  try {
    return HealthCheckRequest.decode(message).service;
  } catch {
    throw new WeirError("WEIR_REQUEST_MALFORMED", "not a grpc.health.v1.HealthCheckRequest");
  }
}

function answer(status: ServingStatus): Uint8Array {
  return HealthCheckResponse.encode({ status }).finish();
}
