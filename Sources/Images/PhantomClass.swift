/// The four classes of the phantoms, named as the public brain-tumour sets name theirs.
package enum PhantomClass: String, CaseIterable, Sendable {
    case glioma, meningioma, notumor, pituitary
}

/// A disc with a wavy edge: radius(angle) = radius (1 + sum of a_k cos(k angle + phase_k)), stretched along one direction.
struct WavyDisc: Sendable {
    var x, y: Double
    let radius: Double
    /// Length of the vertical axis over that of the horizontal one.
    let stretch: Double
    /// For k = 1, 2, ...: amplitudes of cos(k angle) and sin(k angle).
    let waves: [(cosine: Double, sine: Double)]

    init(
        _ x: Double, _ y: Double, radius: Double, stretch: Double = 1, waviness: Double, random: inout CounterRandom
    ) {
        self.x = x
        self.y = y
        self.radius = radius
        self.stretch = stretch
        waves = (2...5).map { k in
            let limit = waviness / Double(k - 1).squareRoot()
            return (random.uniform(-limit, limit), random.uniform(-limit, limit))
        }
    }

    /// 0 at the centre, 1 on the edge, more outside.
    func depth(_ px: Double, _ py: Double) -> Double {
        let (dx, dy) = (px - x, (py - y) / stretch)
        let distance = (dx * dx + dy * dy).squareRoot()
        guard distance > 0 else { return 0 }
        // Powers of e^(i angle) give the cosines of its multiples without trigonometry.
        let (c, s) = (dx / distance, dy / distance)
        var (ck, sk) = (c, s)
        var edge = 1.0
        for wave in waves {
            (ck, sk) = (ck * c - sk * s, sk * c + ck * s)
            edge += wave.cosine * ck + wave.sine * sk
        }
        return distance / (radius * max(edge, 0.2))
    }
}

/// Smooth noise: random values on a lattice, blended by Hermite steps. Range -1...1.
struct ValueNoise: Sendable {
    private let lattice: [Double]
    private static let side = 32

    init(random: inout CounterRandom) {
        lattice = (0..<(Self.side * Self.side)).map { _ in random.uniform(-1, 1) }
    }

    /// One octave with `frequency` lattice cells per unit of length.
    func at(_ x: Double, _ y: Double, frequency: Double) -> Double {
        let (px, py) = (x * frequency + 4096, y * frequency + 4096)
        let (column, row) = (Int(px), Int(py))
        let a = DeterministicMath.smoothStep(0, 1, px - Double(column))
        let b = DeterministicMath.smoothStep(0, 1, py - Double(row))
        func value(_ column: Int, _ row: Int) -> Double { lattice[(row & 31) * Self.side + (column & 31)] }
        let upper = value(column, row) * (1 - a) + value(column + 1, row) * a
        let lower = value(column, row + 1) * (1 - a) + value(column + 1, row + 1) * a
        return upper * (1 - b) + lower * b
    }
}
