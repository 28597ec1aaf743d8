/** The three listeners, by the people who may reach them: proxies and services at the first two, operators at the third. */
export interface Listeners {
  readonly grpc: ListenerSettings;
  readonly http: ListenerSettings;
  readonly admin: AdminSettings;
}

/** What `weir.yaml` says of one listener. */
export interface ListenerSettings {
  /** `HOST:PORT`. */
  readonly address: string;
  /** Left out: plain text. */
  readonly tls?: TlsSettings;
  /** Who may use it, by the names of their certificates. Left out: whoever can reach it. */
  readonly clients?: readonly ClientSettings[];
}

/** What `weir.yaml` says of the admin listener. */
export interface AdminSettings extends ListenerSettings {
  /** Folders and files of bearer tokens, absolute. Left out: no token is asked for. */
  readonly tokens?: readonly string[];
  /** The pages that are shown without a token. */
  readonly open: readonly string[];
}

export interface TlsSettings {
  /** PEM files, absolute. */
  readonly cert: string;
  readonly key: string;
  /** The authorities whose client certificates count. There unless `clientAuth` is `none`. */
  readonly ca?: string;
  readonly clientAuth: "none" | "optional" | "required";
  readonly minVersion: "1.2" | "1.3";
}

export interface ClientSettings {
  /** A SPIFFE id, perhaps with `*` at its end, or a DNS name. */
  readonly name: string;
  /** Left out: all that the listener serves. */
  readonly doors?: readonly string[];
  /** Names, or beginnings followed by `*`. Left out: every one. */
  readonly domains?: readonly string[];
  readonly attributes?: readonly string[];
}
