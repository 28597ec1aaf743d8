import type { DoorOptions } from "../call.ts";
import { checkRoute } from "./check-route.ts";
import { limitsRoutes } from "./limits-routes.ts";
import { openapi } from "./openapi.ts";
import { reportRoute } from "./report-route.ts";
import { httpDoorName, type HttpDoor } from "./route.ts";

/** The HTTP door: check, report and what decisions hold as JSON, and their description. */
export function createHttpDoor(options: DoorOptions): HttpDoor {
  return {
    name: httpDoorName,
    routes: [
      checkRoute(options),
      reportRoute(options),
      ...limitsRoutes(options),
      { method: "GET", path: "/openapi.json", name: "openapi", handle: () => ({ status: 200, json: openapi }) },
    ],
  };
}
