import { watch } from "node:fs";
import { statfs } from "node:fs/promises";

/**
 * Asks the system to tell of what changes in a folder, not below it, until the function that it answers is called. `onEvent`
 * is told the name in the folder, or the folder's own when that is moved or deleted; `null` where it is not known. Rejects
 * where the system does not tell, or cannot be relied on to.
 */
export type WatchFolder = (path: string, onEvent: (name: string | null) => void) => Promise<() => void>;

/**
 * The file systems that only this machine writes to, by their numbers of statfs(2): ext2 to ext4, XFS, Btrfs, bcachefs, ZFS,
 * F2FS, tmpfs, ramfs, overlayfs, SquashFS, EROFS. Others, such as NFS or what is shared with a virtual machine, may change
 * without inotify telling, and to ask for it there may block the process while their server is away.
 */
const localFileSystems = new Set([
  0xef53, 0x58465342, 0x9123683e, 0xca451a4e, 0x2fc12fc1, 0xf2f52010, 0x01021994, 0x858458f6, 0x794c7630, 0x73717368,
  0xe0f5e1e2,
]);

/** inotify, by Node; keeps no process alive. Elsewhere than on Linux no file system is known, and none is relied on. */
export const systemFolderEvents: WatchFolder = async (path, onEvent) => {
  const { type } = await statfs(path);
  if (!localFileSystems.has(type))
    throw new Error(`a file system that may not tell of changes (0x${type.toString(16)})`);
  const watcher = watch(path, { persistent: false }, (_, name) => onEvent(name));
  watcher.on("error", () => onEvent(null));
  return () => watcher.close();
};
