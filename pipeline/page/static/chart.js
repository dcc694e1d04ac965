// The trend chart: share of negative voices in its interval above, posts below, episodes as shaded bands.
"use strict";
(() => {
  const darkness = matchMedia("(prefers-color-scheme: dark)");

  function colour(name, alpha) {
    const value = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    return alpha === undefined ? value : `color-mix(in srgb, ${value} ${Math.round(alpha * 100)}%, transparent)`;
  }

  const two = (n) => String(n).padStart(2, "0");
  const clock = (s) => { const d = new Date(s * 1000); return `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`; };
  const day = (s, lang) => {
    const d = new Date(s * 1000);
    return lang === "zh" ? `${d.getUTCMonth() + 1}月${d.getUTCDate()}日`
      : `${d.getUTCDate()} ${d.toLocaleString("en", { month: "short", timeZone: "UTC" })}`;
  };
  const seconds = (text) => Date.parse(text) / 1000;

  function table(trend) {
    const points = trend.points;
    const at = (pick) => points.map((point) => (point.trailing ? pick(point.trailing) : null));
    return [
      points.map((point) => seconds(point.at) + trend.step_s / 2),
      at((share) => share.high), at((share) => share.low), at((share) => share.value),
      points.map((point) => point.posts),
    ];
  }

  function draw(figure, trend) {
    const root = figure.querySelector(".plots");
    const out = figure.querySelector(".readout");
    const words = figure.dataset;
    const lang = words.lang;
    let data = table(trend);
    let current = trend;
    const percent = (value) => `${Math.round(100 * value)}${lang === "zh" ? "%" : " %"}`;

    function bands(u) {
      const { ctx, bbox } = u;
      ctx.save();
      for (const episode of current.episodes) {
        if (words.episode && episode.id !== words.episode) continue;
        const from = Math.max(u.valToPos(seconds(episode.began_at), "x", true), bbox.left);
        const to = episode.resolved_at ? u.valToPos(seconds(episode.resolved_at), "x", true) : bbox.left + bbox.width;
        if (to <= bbox.left || from >= bbox.left + bbox.width) continue;
        const name = episode.severity === "info" ? "info" : "alarm";
        ctx.fillStyle = colour(name, 0.12);
        ctx.fillRect(from, bbox.top, Math.min(to, bbox.left + bbox.width) - from, bbox.height);
        const opened = u.valToPos(seconds(episode.opened_at), "x", true);
        if (opened >= bbox.left) {
          ctx.strokeStyle = colour(name);
          ctx.lineWidth = 1.5 * devicePixelRatio;
          ctx.beginPath();
          ctx.moveTo(opened, bbox.top);
          ctx.lineTo(opened, bbox.top + bbox.height);
          ctx.stroke();
        }
      }
      ctx.restore();
    }

    function usual(u) {
      if (!current.usual) return;
      const y = u.valToPos(current.usual.value, "share", true);
      const { ctx, bbox } = u;
      ctx.save();
      ctx.strokeStyle = colour("soft");
      ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.lineWidth = devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.fillStyle = colour("soft");
      ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
      ctx.textAlign = "left";
      ctx.textBaseline = "bottom";
      ctx.fillText(`${words.usualWord} ${percent(current.usual.value)}`, bbox.left + 6 * devicePixelRatio, y - 3 * devicePixelRatio);
      ctx.restore();
    }

    function read(u) {
      const i = u.cursor.idx;
      if (i === null || i === undefined || !current.points[i]) { latest(); return; }
      tell(current.points[i]);
    }

    function tell(point) {
      const share = point.trailing;
      const s = seconds(point.at);
      out.textContent = "";
      const strong = document.createElement("b");
      strong.textContent = share ? percent(share.value) : "–";
      const interval = share ? ` (${Math.round(100 * share.low)}–${percent(share.high)})` : "";
      out.append(`${day(s, lang)} ${clock(s)} UTC — ${words.shareWord} `, strong, `${interval} · ${point.posts} ${words.postsWord}`);
    }

    function latest() {
      const last = current.points.filter((point) => point.trailing).at(-1);
      if (last) tell(last);
    }

    const axis = { stroke: () => colour("soft"), grid: { stroke: () => colour("line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const times = {
      ...axis, space: 70,
      values: (_, splits, __, ___, step) => splits.map((s) => (step >= 86400 || s % 86400 === 0 ? day(s, lang) : clock(s))),
    };
    const sync = { key: "trend", setSeries: false };
    const common = {
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
      legend: { show: false }, padding: [8, 8, 0, 0],
    };
    const width = () => Math.max(root.clientWidth, 200);
    const hide = { show: true, stroke: "transparent", width: 0, points: { show: false }, scale: "share" };

    function build() {
      root.replaceChildren();
      const top = new uPlot({
        ...common, width: width(), height: 220,
        cursor: { sync, points: { size: 7 }, y: false, drag: { x: false, y: false } },
        scales: { share: { range: (_, __, max) => [0, Math.min(1, Math.max(0.3, (max || 0) * 1.05, current.usual ? current.usual.value * 1.2 : 0))] } },
        axes: [{ ...times, show: true, size: 24, values: (_, splits) => splits.map(() => "") }, { ...axis, scale: "share", size: 52, space: 36, values: (_, splits) => splits.map(percent) }],
        series: [{}, { ...hide }, { ...hide }, { scale: "share", stroke: () => colour("negative"), width: 2, points: { show: false }, spanGaps: true }],
        bands: [{ series: [1, 2], fill: () => colour("negative", 0.18) }],
        hooks: { drawClear: [bands], drawSeries: [], draw: [usual], setCursor: [read] },
      }, data.slice(0, 4), root);
      const bottom = new uPlot({
        ...common, width: width(), height: 96,
        cursor: { sync, points: { show: false }, y: false, drag: { x: false, y: false } },
        scales: { posts: { range: (_, __, max) => [0, Math.max(4, (max || 0) * 1.1)] } },
        axes: [{ ...times, size: 26 }, { ...axis, scale: "posts", size: 52, space: 26 }],
        series: [{}, { scale: "posts", fill: () => colour("neutral", 0.5), stroke: () => colour("neutral", 0.6), width: 0, paths: uPlot.paths.bars({ size: [0.85, 60] }), points: { show: false } }],
        hooks: { drawClear: [bands] },
      }, [data[0], data[4]], root);
      latest();
      return [top, bottom];
    }

    let plots = build();
    const resize = () => plots.forEach((plot) => plot.setSize({ width: width(), height: plot.height }));
    new ResizeObserver(resize).observe(root);
    darkness.addEventListener("change", () => { plots.forEach((plot) => plot.destroy()); plots = build(); });
    return (next) => {
      current = next;
      data = table(next);
      plots[0].setData(data.slice(0, 4));
      plots[1].setData([data[0], data[4]]);
      latest();
    };
  }

  async function load(figure) {
    const answer = await fetch(figure.dataset.chart, { cache: "no-store", headers: { accept: "application/json" } });
    return answer.ok ? answer.json() : null;
  }

  for (const figure of document.querySelectorAll("[data-chart]")) {
    let update = null;
    const show = async () => {
      const trend = await load(figure).catch(() => null);
      if (!trend || !trend.points.length) return;
      if (update) update(trend); else { update = draw(figure, trend); figure.dataset.drawn = "true"; }
    };
    document.addEventListener("opinionwatch:refreshed", show);
    show();
  }
})();
