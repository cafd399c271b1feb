/**
 * What actors can do: each act is a call, or a few, that any user program could make. Values go over
 * the line to the director, so they are plain objects; addresses and keys are numbers.
 */
import { DEVICE_ACTS } from './acts/device.ts';
import { FABRIC_ACTS } from './acts/fabric.ts';
import { RACE_ACTS } from './acts/races.ts';
import { VERBS_ACTS } from './acts/verbs.ts';

export const ACTS = { ...DEVICE_ACTS, ...VERBS_ACTS, ...FABRIC_ACTS, ...RACE_ACTS } as const;

export type Acts = typeof ACTS;
