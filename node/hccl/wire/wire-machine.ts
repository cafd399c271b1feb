/** How a rank's host gets wires; given by whoever starts the host. Descriptors are the caller's to close. */

export interface WireMachine {
  /**
   * Lets one dial with this ticket in; `accepted` is the descriptor of it. `nearBufferBytes`: what it may hold for
   * a peer on this machine; absent: whatever the system lets it.
   */
  offer(nearBufferBytes?: number): {
    readonly ticket: string;
    readonly accepted: Promise<number>;
    /** Nobody needs it any more: `accepted` rejects, unless it has resolved. */
    cancel(): void;
  };
  /** Dials a host with a ticket of its. */
  dial(nodeId: string, ticket: string): Promise<number>;
  /** Ends the connection: whoever waits for it, on either side, finds out. What is under way arrives. */
  shut(fd: number): void;
  close(fd: number): void;
}
