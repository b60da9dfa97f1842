/// A made-up head in a coronal view, as functions of position: no patient, no picture stands behind it.
///
/// Head coordinates: x to the right, y down, the skull's outline near radius 1. Everything is drawn from one stream of
/// random numbers, so that a head is a pure function of its key.
struct PhantomHead: Sendable {
    /// Gray values of the tissues in 0...1; drawn per head, so that scans differ in contrast.
    private struct Tissue {
        let scalp, skull, fluid, gray, white, tumour: Double
    }

    private let tissue: Tissue
    private let scalpDepth, skullDepth: Double
    private let outline: WavyDisc
    private let ventricles: [WavyDisc]
    private let vessels: [WavyDisc]
    private let notch: WavyDisc
    private let gland: WavyDisc
    private let texture: ValueNoise
    private let folds: ValueNoise
    private let lesion: Lesion?

    private struct Lesion {
        let shape: WavyDisc
        let kind: PhantomClass
        /// Depth within which a glioma is dead tissue, dark.
        let core: Double
        /// How far a glioma's swelling reaches, in depths.
        let swelling: Double
    }

    init(_ kind: PhantomClass, random: inout CounterRandom) {
        tissue = Self.drawTissue(&random)
        scalpDepth = random.uniform(0.05, 0.09)
        skullDepth = scalpDepth + random.uniform(0.05, 0.08)
        outline = WavyDisc(0, 0, radius: 1, waviness: 0.015, random: &random)
        texture = ValueNoise(random: &random)
        folds = ValueNoise(random: &random)
        let spread = random.uniform(0.10, 0.15)
        let height = random.uniform(-0.12, 0.02)
        let size = random.uniform(0.07, 0.12)
        ventricles = [-1.0, 1.0].map { side in
            WavyDisc(
                side * spread, height, radius: size, stretch: random.uniform(1.6, 2.4), waviness: 0.15, random: &random)
        }
        // The base: bone and air below the brain's middle, with the pituitary gland on top of it.
        let base = random.uniform(0.80, 0.86)
        notch = WavyDisc(0, base, radius: 0.26, stretch: random.uniform(0.75, 0.95), waviness: 0.08, random: &random)
        gland = WavyDisc(random.uniform(-0.03, 0.03), base - 0.22, radius: 0.035, waviness: 0.1, random: &random)
        let count = 3 + random.index(below: 4)
        vessels = (0..<count).map { _ in
            let (x, y) = Self.place(radius: 0.2...0.78, &random)
            return WavyDisc(x, y, radius: random.uniform(0.012, 0.024), waviness: 0.2, random: &random)
        }
        lesion = Self.drawLesion(kind, gland: gland, innerTable: 1 - skullDepth, &random)
    }

    private static func drawTissue(_ random: inout CounterRandom) -> Tissue {
        // Half the heads as in a T1-weighted scan (fluid dark, white matter bright), half as in T2 (the other way).
        let t1 = random.unit() < 0.5
        let (gray, step) = (random.uniform(0.34, 0.44), random.uniform(0.08, 0.14))
        let white = t1 ? gray + step : gray - step
        let fluid = t1 ? random.uniform(0.10, 0.22) : random.uniform(0.55, 0.68)
        // What was given a contrast agent lights up: tumours always, vessels and the gland in every class.
        return Tissue(
            scalp: random.uniform(0.45, 0.75), skull: random.uniform(0.04, 0.14), fluid: fluid, gray: gray,
            white: white,
            tumour: random.uniform(0.92, 1.0))
    }

    /// A random place between two radii, no trigonometry: a point in the square, kept when it lies in the ring.
    private static func place(radius: ClosedRange<Double>, _ random: inout CounterRandom) -> (x: Double, y: Double) {
        while true {
            let (x, y) = (random.uniform(-1, 1), random.uniform(-1, 1))
            if radius.contains((x * x + y * y).squareRoot()) { return (x, y) }
        }
    }

    private static func drawLesion(
        _ kind: PhantomClass, gland: WavyDisc, innerTable: Double, _ random: inout CounterRandom
    ) -> Lesion? {
        switch kind {
        case .notumor: return nil
        case .glioma:
            // Inside the brain, off the midline, away from the skull and the base.
            var (x, y) = place(radius: 0.28...0.50, &random)
            while abs(x) < 0.18 || y > 0.35 { (x, y) = place(radius: 0.28...0.50, &random) }
            let shape = WavyDisc(
                x, y, radius: random.uniform(0.20, 0.30), stretch: random.uniform(0.75, 1.3), waviness: 0.22,
                random: &random)
            return Lesion(
                shape: shape, kind: kind, core: random.uniform(0.35, 0.6), swelling: random.uniform(1.4, 1.9))
        case .meningioma:
            // Against the inside of the skull, anywhere but at the base; round and even.
            var (x, y) = place(radius: 0.5...1, &random)
            while y > 0.45 { (x, y) = place(radius: 0.5...1, &random) }
            let radius = random.uniform(0.18, 0.26)
            let pull = (innerTable - 0.75 * radius) / (x * x + y * y).squareRoot()
            let shape = WavyDisc(x * pull, y * pull, radius: radius, waviness: 0.03, random: &random)
            return Lesion(shape: shape, kind: kind, core: 0, swelling: 1)
        case .pituitary:
            let radius = random.uniform(0.12, 0.17)
            let shape = WavyDisc(
                gland.x, gland.y - 0.3 * radius, radius: radius, stretch: random.uniform(0.9, 1.3), waviness: 0.05,
                random: &random)
            return Lesion(shape: shape, kind: kind, core: 0, swelling: 1)
        }
    }

    /// The gray value at a point, 0...1 and a little beyond.
    func value(_ x: Double, _ y: Double) -> Double {
        let radius = outline.depth(x, y)
        guard radius < 1.03 else { return 0.01 }
        let step = DeterministicMath.smoothStep
        let inner = 1 - skullDepth
        var value = brain(x, y, radius / inner)
        // From the inside out: fluid around the brain, bone, scalp, air.
        value = mix(value, tissue.fluid, step(inner - 0.05, inner - 0.02, radius))
        value = mix(value, tissue.skull, step(0.98, 1.02, 2 - notch.depth(x, y)))
        if let lesion { value = paint(lesion, value, x, y) }
        value = mix(value, tissue.skull, step(inner - 0.01, inner + 0.01, radius))
        value = mix(value, tissue.scalp, step(1 - scalpDepth - 0.015, 1 - scalpDepth + 0.015, radius))
        return mix(value, 0.01, step(0.985, 1.01, radius))
    }

    private func brain(_ x: Double, _ y: Double, _ radius: Double) -> Double {
        let step = DeterministicMath.smoothStep
        // The cortex folds: its border with the white matter wanders, deeper at the rim.
        let fold = folds.at(x, y, frequency: 7) + 0.5 * folds.at(x, y, frequency: 14)
        var value = mix(tissue.white, tissue.gray, step(0.66, 0.80, radius + 0.22 * fold))
        value += 0.035 * texture.at(x, y, frequency: 9) + 0.02 * texture.at(x, y, frequency: 21)
        // Furrows and the cleft between the halves hold fluid.
        value = mix(value, tissue.fluid, 0.8 * step(0.50, 0.80, fold) * step(0.70, 0.85, radius))
        let cleft = step(0.02, 0.008, abs(x)) * step(-0.3, -0.42, y)
        value = mix(value, tissue.fluid, 0.7 * cleft)
        for ventricle in ventricles { value = mix(value, tissue.fluid, step(1.12, 0.92, ventricle.depth(x, y))) }
        for vessel in vessels { value = mix(value, tissue.tumour, 0.9 * step(1.3, 0.8, vessel.depth(x, y))) }
        return mix(value, tissue.tumour, 0.8 * step(1.2, 0.8, gland.depth(x, y)))
    }

    private func paint(_ lesion: Lesion, _ value: Double, _ x: Double, _ y: Double) -> Double {
        let step = DeterministicMath.smoothStep
        let depth = lesion.shape.depth(x, y)
        guard lesion.kind == .glioma else { return mix(value, tissue.tumour, step(1.06, 0.94, depth)) }
        let ragged = depth + 0.18 * texture.at(x, y, frequency: 12)
        let swollen = mix(value, tissue.fluid, 0.45 * step(lesion.swelling, 1, ragged))
        let solid = tissue.tumour * (0.88 + 0.12 * texture.at(x, y, frequency: 16))
        let dead = mix(solid, 0.5 * tissue.gray, step(lesion.core, lesion.core - 0.2, ragged))
        return mix(swollen, dead, step(1.08, 0.94, ragged))
    }

    private func mix(_ from: Double, _ to: Double, _ part: Double) -> Double { from + (to - from) * part }
}
