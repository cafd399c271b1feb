/** A record as it is put together: optional fields may be `undefined`. */
export type Draft<T> = {
  readonly [K in keyof T as Record<never, never> extends Pick<T, K> ? never : K]: T[K];
} & {
  readonly [K in keyof T as Record<never, never> extends Pick<T, K> ? K : never]?: T[K] | undefined;
};

/** The record without the fields that are `undefined`. */
export function present<T extends object>(draft: Draft<T>): T {
  const entries = Object.entries(draft).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as T;
}
