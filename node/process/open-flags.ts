/** Flags of open(2) and of descriptors that calls hand out (asm-generic/fcntl.h). */
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
/** Close on exec. Simulated processes never exec; the flag is checked and kept out of the way. */
export const O_CLOEXEC = 0o2000000;

/** Whether `flags` has an access mode and O_CLOEXEC, and nothing else. */
export function isOpenFlags(flags: number): boolean {
  return [O_RDONLY, O_WRONLY, O_RDWR].includes(flags & ~O_CLOEXEC);
}
