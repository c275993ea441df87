//! Activation functions of one value whose slopes take several nodes.

use super::Gradient;
use super::unary::Unary;
use crate::build::Attr;
use crate::model::attribute;

/// x, or α (exp(x/α) − 1) below 0, whose slope is y/α + 1.
pub static CELU: Unary = Unary {
    name: "Celu",
    gradient: Some(|g| {
        let alpha = number(g, "alpha", 1.0);
        let (y, alpha, one) = (g.y(), g.b.float(alpha), g.b.float(1.0));
        let share = g.b.node("Div", &[&y, &alpha], []);
        let below = g.b.node("Add", &[&share, &one], []);
        let slope = straight_above(g, 1.0, &below);
        g.dy_times(&slope)
    }),
};

/// 2/√π ∫₀ˣ exp(−t²) dt.
pub static ERF: Unary = Unary {
    name: "Erf",
    gradient: Some(|g| {
        let x = g.x(0);
        let slope = bell(g, &x, 1.0, std::f32::consts::FRAC_2_SQRT_PI);
        g.dy_times(&slope)
    }),
};

/// x Φ(x), exactly or by a tanh (Hendrycks and Gimpel 2016).
pub static GELU: Unary = Unary { name: "Gelu", gradient: Some(gelu) };

/// α x + β, cut to 0 … 1.
pub static HARD_SIGMOID: Unary = Unary {
    name: "HardSigmoid",
    gradient: Some(|g| {
        let (y, alpha) = (g.y(), number(g, "alpha", 0.2));
        let inside = between_0_and_1(g, &y);
        let alpha = g.b.float(alpha);
        let slope = g.mul(&inside, &alpha);
        g.dy_times(&slope)
    }),
};

/// x h with h = x/6 + ½ cut to 0 … 1; slope h, and x/6 more where h is not cut.
pub static HARD_SWISH: Unary = Unary {
    name: "HardSwish",
    gradient: Some(|g| {
        let (x, sixth) = (g.x(0), 1.0 / 6.0);
        let h = g.b.node("HardSigmoid", &[&x], [("alpha", Attr::Float(sixth)), ("beta", Attr::Float(0.5))]);
        let inside = between_0_and_1(g, &h);
        let sixth = g.b.float(sixth);
        let rise = g.mul(&x, &sixth);
        let rise = g.mul(&rise, &inside);
        let slope = g.b.node("Add", &[&h, &rise], []);
        g.dy_times(&slope)
    }),
};

/// x tanh(softplus x) (Misra 2019); with t = tanh(softplus x) the slope is t + x (1 − t²) sigmoid x.
pub static MISH: Unary = Unary {
    name: "Mish",
    gradient: Some(|g| {
        let (x, one) = (g.x(0), g.b.float(1.0));
        let soft = g.b.node("Softplus", &[&x], []);
        let t = g.b.node("Tanh", &[&soft], []);
        let square = g.mul(&t, &t);
        let bend = g.b.node("Sub", &[&one, &square], []);
        let sigmoid = g.b.node("Sigmoid", &[&x], []);
        let bend = g.mul(&bend, &sigmoid);
        let bend = g.mul(&bend, &x);
        let slope = g.b.node("Add", &[&t, &bend], []);
        g.dy_times(&slope)
    }),
};

/// γ x, or γ α (eˣ − 1) below 0 (Klambauer et al. 2017), whose slope is y + γ α.
pub static SELU: Unary = Unary {
    name: "Selu",
    gradient: Some(|g| {
        let (alpha, gamma) = (number(g, "alpha", 1.673_263_2), number(g, "gamma", 1.050_701));
        let (y, depth) = (g.y(), g.b.float(alpha * gamma));
        let below = g.b.node("Add", &[&y, &depth], []);
        let slope = straight_above(g, gamma, &below);
        g.dy_times(&slope)
    }),
};

/// log(1 + eˣ), whose slope is the sigmoid.
pub static SOFTPLUS: Unary = Unary {
    name: "Softplus",
    gradient: Some(|g| {
        let x = g.x(0);
        let slope = g.b.node("Sigmoid", &[&x], []);
        g.dy_times(&slope)
    }),
};

/// x / (1 + |x|); slope 1 / (1 + |x|)².
pub static SOFTSIGN: Unary = Unary {
    name: "Softsign",
    gradient: Some(|g| {
        let (x, one) = (g.x(0), g.b.float(1.0));
        let size = g.b.node("Abs", &[&x], []);
        let root = g.b.node("Add", &[&size, &one], []);
        let square = g.mul(&root, &root);
        g.b.node("Div", &[g.dy, &square], [])
    }),
};

/// x above α, else 0.
pub static THRESHOLDED_RELU: Unary = Unary {
    name: "ThresholdedRelu",
    gradient: Some(|g| {
        let (x, alpha) = (g.x(0), number(g, "alpha", 1.0));
        let alpha = g.b.float(alpha);
        let slope = g.mask("Greater", &x, &alpha);
        g.dy_times(&slope)
    }),
};

fn number(g: &Gradient, name: &str, default: f32) -> f32 {
    attribute(g.node, name).and_then(|a| a.f).unwrap_or(default)
}

/// `height` · exp(−`sharpness` · x²).
fn bell(g: &mut Gradient, x: &str, sharpness: f32, height: f32) -> String {
    let square = g.mul(x, x);
    let sharpness = g.b.float(-sharpness);
    let exponent = g.mul(&square, &sharpness);
    let bell = g.b.node("Exp", &[&exponent], []);
    let height = g.b.float(height);
    g.mul(&bell, &height)
}

/// 1 where `value` lies strictly between 0 and 1.
fn between_0_and_1(g: &mut Gradient, value: &str) -> String {
    let (zero, one) = (g.b.float(0.0), g.b.float(1.0));
    let (above, below) = (g.mask("Greater", value, &zero), g.mask("Less", value, &one));
    g.mul(&above, &below)
}

/// A slope that is `constant` where x is above 0 and `below` elsewhere.
fn straight_above(g: &mut Gradient, constant: f32, below: &str) -> String {
    let (x, zero, constant) = (g.x(0), g.b.float(0.0), g.b.float(constant));
    let above = g.mask("Greater", &x, &zero);
    let missing = g.b.node("Sub", &[&constant, below], []);
    let change = g.mul(&above, &missing);
    g.b.node("Add", &[below, &change], [])
}

// Exactly: Φ(x) + x φ(x). With u = √(2/π) (x + 0.044715 x³) and t = tanh u: (1 + t)/2 + x (1 − t²)/2 · du/dx.
fn gelu(g: &mut Gradient) -> String {
    let (x, half, one) = (g.x(0), g.b.float(0.5), g.b.float(1.0));
    let by_tanh = attribute(g.node, "approximate").and_then(|a| a.s.as_deref()) == Some(b"tanh");
    let (inner, rise) = if by_tanh {
        let root = (2.0 / std::f32::consts::PI).sqrt();
        let (cubic, triple, root) = (g.b.float(0.044_715), g.b.float(3.0 * 0.044_715), g.b.float(root));
        let square = g.mul(&x, &x);
        let polynomial = |g: &mut Gradient, factor: &str| {
            let bent = g.mul(&square, factor);
            let bent = g.b.node("Add", &[&bent, &one], []);
            g.mul(&bent, &root)
        };
        let u = polynomial(g, &cubic);
        let u = g.mul(&u, &x);
        let t = g.b.node("Tanh", &[&u], []);
        let t_square = g.mul(&t, &t);
        let bend = g.b.node("Sub", &[&one, &t_square], []);
        let slope = polynomial(g, &triple);
        (t, g.mul(&bend, &slope))
    } else {
        let scale = g.b.float(std::f32::consts::FRAC_1_SQRT_2);
        let scaled = g.mul(&x, &scale);
        let height = (2.0 / std::f32::consts::PI).sqrt();
        (g.b.node("Erf", &[&scaled], []), bell(g, &x, 0.5, height))
    };
    let rise = g.mul(&rise, &x);
    let total = g.b.node("Add", &[&inner, &rise], []);
    let total = g.b.node("Add", &[&total, &one], []);
    let slope = g.mul(&total, &half);
    g.dy_times(&slope)
}
