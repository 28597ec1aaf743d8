import type { DoorOptions } from "../call.ts";
import { checkRoute } from "./check-route.ts";
import { openapi } from "./openapi.ts";
import { reportRoute } from "./report-route.ts";
import { httpDoorName, type HttpDoor } from "./route.ts";

/** The HTTP door: check and report as JSON, and their description. */
export function createHttpDoor(options: DoorOptions): HttpDoor {
  return {
    name: httpDoorName,
    routes: [
      checkRoute(options),
      reportRoute(options),
      { method: "GET", path: "/openapi.json", name: "openapi", handle: () => ({ status: 200, json: openapi }) },
    ],
  };
}
