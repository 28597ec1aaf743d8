/** Milliseconds in each unit of a duration. */
const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Bytes in each unit of a size. */
const sizeUnits: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** Reads a duration of a configuration, such as `250ms`, `1.5s`, `5m`, `1h30m` or `7d`, as milliseconds; `undefined` when it is none. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d{1,15}(\.\d{1,9})?(ms|s|m|h|d))+$/.test(text) || text.length > 64) return undefined;
  let ms = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    ms += Number(number) * durationUnits[unit!]!;
  return Number.isSafeInteger(Math.ceil(ms)) ? ms : undefined;
}

/** Reads a size of a configuration, such as `512B`, `64KiB`, `1.5MiB` or `1GB`, as bytes; `undefined` when it is none. */
export function parseSize(text: string): number | undefined {
  const parts = /^(\d{1,15}(?:\.\d{1,9})?) ?(B|KB|MB|GB|KiB|MiB|GiB)$/.exec(text);
  if (parts === null) return undefined;
  const bytes = Math.floor(Number(parts[1]) * sizeUnits[parts[2]!]!);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
