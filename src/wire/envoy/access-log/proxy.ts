import type { Reader } from "../../protobuf/reader.ts";
import type { Direction } from "../service-name.ts";
import { readStruct, type JsonObject } from "../../protobuf/struct.ts";
import { within } from "../../protobuf/within.ts";
import { unknownWorkload, workloadOf, type Workload } from "./workload.ts";

/** Who writes a log, as the first message of its stream says. */
export interface Proxy {
  /** `""` where nothing is said. */
  readonly id: string;
  readonly logName: string;
  /** Where it stands, unless an entry says otherwise. */
  readonly direction: Direction;
  /** `context.reporter.uid` */
  readonly uid: string;
  /** `context.proxy_version` */
  readonly version: string;
  /** The workload that it stands beside. */
  readonly workload: Workload;
}

/** The writer of a stream that does not say who it is. */
export const unknownProxy: Proxy = {
  id: "",
  logName: "",
  direction: "inbound",
  uid: "",
  version: "",
  workload: unknownWorkload,
};

/** Reads a StreamAccessLogsMessage.Identifier, which fills the reader's part. */
export function readProxy(reader: Reader): Proxy {
  const node = { id: "", cluster: "", version: "", metadata: new Map() as JsonObject };
  let logName = "";
  while (reader.more) {
    const tag = reader.tag();
    if (tag === 0x0a) within(reader, () => readNode(reader, node));
    else if (tag === 0x12) logName = reader.string();
    else reader.skip(tag);
  }
  const { id, cluster, metadata } = node;
  const istio = /^(sidecar|router|ztunnel|waypoint)~[^~]*~([^~]+)~/.exec(id);
  const istioVersion = metadata.get("ISTIO_VERSION");
  const isWorkloadNamed = metadata.has("WORKLOAD_NAME") || cluster === "";
  return {
    id,
    logName,
    direction: wordOf(logName) ?? (istio?.[1] === "router" ? "outbound" : "inbound"),
    uid: istio === null ? id : `kubernetes://${istio[2]!}`,
    version: typeof istioVersion === "string" ? istioVersion : node.version,
    workload: workloadOf(isWorkloadNamed ? metadata : new Map([...metadata, ["WORKLOAD_NAME", cluster]])),
  };
}

/** A direction that a log's name has as one of its words: `outbound`, `http-inbound`. */
function wordOf(logName: string): Direction | undefined {
  const words = logName.toLowerCase().split(/[^a-z]+/);
  return words.includes("outbound") ? "outbound" : words.includes("inbound") ? "inbound" : undefined;
}

function readNode(reader: Reader, node: { id: string; cluster: string; version: string; metadata: JsonObject }): void {
  while (reader.more) {
    const tag = reader.tag();
    switch (tag) {
      case 0x0a:
        node.id = reader.string();
        break;
      case 0x12:
        node.cluster = reader.string();
        break;
      case 0x1a:
        node.metadata = within(reader, () => readStruct(reader));
        break;
      case 0x3a:
        node.version = reader.string();
        break;
      case 0x42:
        node.version = within(reader, () => readBuildVersion(reader));
        break;
      default:
        reader.skip(tag);
    }
  }
}

/** The `version` of a BuildVersion: `1.40.0`. */
function readBuildVersion(reader: Reader): string {
  const numbers = [0, 0, 0];
  while (reader.more) {
    const tag = reader.tag();
    if (tag !== 0x0a) {
      reader.skip(tag);
      continue;
    }
    within(reader, () => {
      while (reader.more) {
        const tag = reader.tag();
        if (tag === 0x08 || tag === 0x10 || tag === 0x18) numbers[(tag >>> 3) - 1] = reader.uint32();
        else reader.skip(tag);
      }
    });
  }
  return numbers.join(".");
}
