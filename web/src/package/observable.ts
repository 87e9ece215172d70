// Values that change.

export interface Abortable {
  signal?: AbortSignal | undefined;
}

/** A value and its changes. */
export interface Observable<T> {
  readonly value: T;
  /** Calls `listener` with the value now and after every change, until the returned function is called. */
  subscribe(listener: (value: T) => void): () => void;
  /** The value once `wanted` holds for it; rejects when the session ends or `signal` aborts. */
  until(wanted: (value: T) => boolean, options?: Abortable): Promise<T>;
}

/** The side that changes it. */
export class Source<T> implements Observable<T> {
  #value: T;
  #listeners = new Set<(value: T) => void>();

  /** `ended` aborts when no more changes come. */
  constructor(first: T, readonly ended: AbortSignal) {
    this.#value = first;
  }

  get value(): T {
    return this.#value;
  }

  set(value: T): void {
    this.#value = value;
    for (const listener of [...this.#listeners]) listener(value);
  }

  subscribe(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#value);
    return () => this.#listeners.delete(listener);
  }

  until(wanted: (value: T) => boolean, { signal }: Abortable = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      const stop = signal ? AbortSignal.any([signal, this.ended]) : this.ended;
      const look = (value: T) => {
        if (!wanted(value)) return;
        leave();
        resolve(value);
      };
      const aborted = () => {
        leave();
        reject(stop.reason);
      };
      const leave = () => {
        this.#listeners.delete(look);
        stop.removeEventListener("abort", aborted);
      };
      if (stop.aborted) {
        reject(stop.reason);
        return;
      }
      stop.addEventListener("abort", aborted);
      this.#listeners.add(look);
      look(this.#value);
    });
  }
}
