// The queue before the embed has loaded. A shop copies it, minified, from embed.d.ts into its own script. Each call is
// [object, method, arguments, time, what was given out, and later what came of it].
// @ts-nocheck: it is written to be short.
window.Unjam = window.Unjam || {
  q: [],
  track(p, o) {
    this.q.push([0, "track", [p, o], Date.now()]);
    return p;
  },
  attempt(o) {
    const a = {};
    const { q } = this;
    q.push([0, "attempt", [o], Date.now(), a]);
    ["stage", "paid", "failed", "left", "popup"].forEach((m) => {
      a[m] = (x) => {
        q.push([a, m, [x], Date.now()]);
      };
    });
    return a;
  },
  on(e, f) {
    const i = [0, "on", [e, (d) => f?.(d)], 0];
    this.q.push(i);
    return () => {
      f = undefined;
      if (i[5]) i[5]();
    };
  },
  open() {
    this.q.push([0, "open", []]);
  },
  mount() {
    this.q.push([0, "mount", []]);
  },
  unmount() {
    this.q.push([0, "unmount", []]);
  },
};
