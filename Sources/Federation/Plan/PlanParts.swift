package import Wire

/// How a round's updates become the next global. Names from the papers; see `Aggregation`.
package enum Strategy: Equatable, Sendable {
    /// McMahan et al. 2017 (arXiv 1602.05629), algorithm 1.
    case fedAvg
    /// Li et al. 2020 (arXiv 1812.06127), algorithm 2: clients add mu (w - w_global) to their gradient.
    case fedProx(mu: Double)

    package var name: String {
        switch self {
        case .fedAvg: "fedavg"
        case .fedProx: "fedprox"
        }
    }

    /// The proximal coefficient of the clients' objective; 0 where there is none.
    package var mu: Double { if case .fedProx(let mu) = self { mu } else { 0 } }

    static let names = ["fedavg", "fedprox"]
    static let defaultMu = 0.01

    package var json: JSONValue {
        switch self {
        case .fedAvg: ["name": "fedavg"]
        case .fedProx(let mu): ["name": "fedprox", "mu": .number(mu)]
        }
    }

    /// From `{name: fedprox, mu: 0.01}`, or the bare name.
    package init(_ value: JSONValue) throws {
        if case .string(let name) = value {
            self = try Strategy.named(name, mu: nil)
            return
        }
        var object = try ObjectReader(value, context: "strategy")
        let name = try object.string("name", maximumLength: 32)
        self = try Strategy.named(name, mu: try object.optionalNumber("mu", in: FederationLimits.mu))
        try object.finish()
    }

    private static func named(_ name: String, mu: Double?) throws -> Strategy {
        switch name {
        case "fedavg":
            guard mu == nil else { throw FederationError(.badPlan, "strategy: fedavg takes no mu; use fedprox") }
            return .fedAvg
        case "fedprox": return .fedProx(mu: mu ?? defaultMu)
        default:
            throw FederationError(
                .badPlan, "strategy: '\(printable(name))' is not known, \(suggestion(name, among: names))")
        }
    }
}

/// How many participants must have answered when the deadline comes.
package enum Quorum: Equatable, Sendable {
    case all
    /// At least so many, however few participants remain: fewer can never close a round.
    case count(Int)
    /// At least this part of the participants, rounded up, 0 < fraction <= 1.
    case fraction(Double)

    /// - Parameter expected: participants of the round.
    /// - Returns: how many updates close the round at its deadline; never less than 1.
    package func required(of expected: Int) -> Int {
        switch self {
        case .all: max(expected, 1)
        case .count(let count): count
        case .fraction(let fraction): max(1, Int((fraction * Double(expected)).rounded(.up)))
        }
    }

    package var json: JSONValue {
        switch self {
        case .all: "all"
        case .count(let count): JSONValue(count)
        case .fraction(let fraction): .number(fraction)
        }
    }

    package init(_ value: JSONValue) throws {
        switch value {
        case .string("all"): self = .all
        case .integer(let count) where (1...Int64(FederationLimits.participants)).contains(count):
            self = .count(Int(count))
        case .number(let part) where part > 0 && part <= 1: self = .fraction(part)
        default:
            throw FederationError(
                .badPlan, "quorum: must be all, a number of participants from 1, or a fraction above 0.0 up to 1.0")
        }
    }
}

/// What happens with an update that comes after its round has closed.
package enum LatePolicy: String, Sendable, CaseIterable {
    /// It is recorded, and not used.
    case drop
}

/// Ends a session once `metric` has not improved for `patience` rounds.
package struct EarlyStop: Equatable, Sendable {
    package var patience: Int
    package var metric: Metric
    package init(patience: Int, metric: Metric = .balancedAccuracy) {
        self.patience = patience
        self.metric = metric
    }

    package var json: JSONValue { ["patience": JSONValue(patience), "metric": .string(metric.rawValue)] }

    init(reading object: inout ObjectReader) throws {
        patience = try object.count("patience", in: FederationLimits.rounds)
        metric = try object.optionalChoice("metric") ?? .balancedAccuracy
    }
}

/// The first part of the network that trains; the parts before it stay as they are and are not sent back.
package enum TrainFrom: String, Sendable, CaseIterable {
    case head, layer4, layer3, layer2, layer1, all

    /// A network's parts from the picture to the answer.
    package static let parts = ["stem", "layer1", "layer2", "layer3", "layer4", "head"]

    /// Whether tensors of `part` train, and so travel in `model.safetensors` and come back in updates. A part that is
    /// not among ``parts`` trains only with `all`.
    package func trains(part: String) -> Bool {
        if self == .all { return true }
        guard let first = Self.parts.firstIndex(of: rawValue), let index = Self.parts.firstIndex(of: part) else {
            return false
        }
        return index >= first
    }
}

package enum BatchNormMode: String, Sendable, CaseIterable {
    /// Statistics of each batch; the running ones are updated, and averaged over the clients.
    case training
    /// The running statistics as received.
    case frozen
}

package enum ClassWeighting: String, Sendable, CaseIterable { case none, balanced }

package enum OptimizerKind: String, Sendable, CaseIterable { case adam, sgd }

/// Random changes to training pictures, never to validation pictures.
package struct Augmentation: Equatable, Sendable {
    /// Degrees to either side.
    package var rotation: Double
    /// Part of the size, to either side.
    package var zoom: Double
    /// Part of the width and height, to either side.
    package var shift: Double
    package var horizontalFlip: Bool
    /// Part of it, to either side: gray values are multiplied.
    package var brightness: Double
    /// Part of it, to either side: distances from the mean gray value are multiplied.
    package var contrast: Double

    package init(
        rotation: Double, zoom: Double, shift: Double, horizontalFlip: Bool, brightness: Double = 0,
        contrast: Double = 0
    ) {
        self.rotation = rotation
        self.zoom = zoom
        self.shift = shift
        self.horizontalFlip = horizontalFlip
        self.brightness = brightness
        self.contrast = contrast
    }

    package static let standard = Augmentation(rotation: 15, zoom: 0.15, shift: 0.05, horizontalFlip: true)
    package static let none = Augmentation(rotation: 0, zoom: 0, shift: 0, horizontalFlip: false)

    package var json: JSONValue {
        [
            "rotation": .number(rotation), "zoom": .number(zoom), "shift": .number(shift),
            "horizontal_flip": .bool(horizontalFlip), "brightness": .number(brightness),
            "contrast": .number(contrast),
        ]
    }

    /// `true` is ``standard``, `false` is ``none``, an object changes what it names of ``standard``.
    init(_ value: JSONValue) throws {
        if case .bool(let on) = value {
            self = on ? .standard : .none
            return
        }
        var object = try ObjectReader(value, context: "augmentation")
        rotation = try object.optionalNumber("rotation", in: 0...180) ?? Self.standard.rotation
        zoom = try object.optionalNumber("zoom", in: 0...0.9) ?? Self.standard.zoom
        shift = try object.optionalNumber("shift", in: 0...0.5) ?? Self.standard.shift
        brightness = try object.optionalNumber("brightness", in: 0...0.9) ?? Self.standard.brightness
        contrast = try object.optionalNumber("contrast", in: 0...0.9) ?? Self.standard.contrast
        horizontalFlip = try object.optionalBool("horizontal_flip") ?? Self.standard.horizontalFlip
        try object.finish()
    }
}

/// A foreign word inside an error's text.
func printable(_ text: String) -> String { isPrintable(text) ? text.excerpt : "(unprintable)" }
